import { expect, test } from "bun:test";
import { newMessageId } from "@tyto/contracts";
import type { FunctionArgs } from "convex/server";
import { api, internal } from "./_generated/api";
import {
  address,
  asGateway,
  asUser,
  lateBounce,
  messageId,
  noon,
  sample,
  startConvex,
} from "./samples.testing.ts";

/** Messages a minute apart, the last one newest; `ids[0]` is the oldest. */
const ids: string[] = Array.from({ length: 6 }, (_, index) => newMessageId(noon + index * 60_000));
const about = (index: number, more: Record<string, unknown> = {}) => ({
  id: `${ids[index]}.accepted`,
  messageId: ids[index],
  at: noon + index * 60_000,
  ...more,
});

async function seeded() {
  const t = startConvex();
  const to = (...addresses: string[]) => addresses.map((address) => ({ address, role: "to" }));
  await t.mutation(internal.record.apply, {
    events: JSON.stringify([
      sample("mail.accepted", about(0, { tags: ["a"], recipients: to("Ann@example.net") })),
      sample("mail.accepted", about(1, { tags: ["a", "b"], recipients: to("bob@example.net") })),
      sample(
        "mail.accepted",
        about(2, { tags: [], domain: "other.example", recipients: to("ann@example.net") }),
      ),
      sample(
        "mail.accepted",
        about(3, { tags: ["b"], recipients: to("ann@example.net", "ann@example.net") }),
      ),
      sample(
        "mail.accepted",
        about(4, { tags: ["a"], domain: "other.example", recipients: to("c@example.net") }),
      ),
      sample("mail.accepted", about(5, { tags: ["a"], recipients: to("d@example.net") })),
      ...[1, 3, 4].map((index) =>
        sample("mail.delivered", {
          id: `${ids[index]}.delivered`,
          messageId: ids[index],
          deliveryId: `${ids[index]}-0`,
          recipient: "x@example.net",
        }),
      ),
    ]),
  });
  return t;
}

type Filter = Omit<FunctionArgs<typeof api.messages.list>, "paginationOpts">;

/** Filter → positions of the messages that pass, newest first. */
const filters: [Filter, number[]][] = [
  [{}, [5, 4, 3, 2, 1, 0]],
  [{ status: "delivered" }, [4, 1]],
  [{ status: "sending" }, [3]],
  [{ domain: "other.example" }, [4, 2]],
  [{ domain: "other.example", status: "accepted" }, [2]],
  [{ tag: "a" }, [5, 4, 1, 0]],
  [{ tag: "a", status: "delivered" }, [4, 1]],
  [{ tag: "a", domain: "other.example" }, [4]],
  [{ recipient: "ann@example.net" }, [3, 2, 0]],
  [{ recipient: "ANN@EXAMPLE.NET" }, [3, 2, 0]],
  [{ recipient: "ann@example.net", status: "accepted" }, [2, 0]],
  [{ recipient: "ann@example.net", tag: "b", domain: "example.com" }, [3]],
  [{ recipient: "nobody@example.net" }, []],
];

test("every filter finds its messages, newest first, for people and for programs, in pages of any size", async () => {
  const t = await seeded();
  const user = await asUser(t);
  const gateway = asGateway(t);
  for (const [filter, expected] of filters)
    for (const size of [1, 2, 50]) {
      const seen: string[] = [];
      let cursor: string | null = null;
      for (let isDone = false; !isDone; ) {
        const page: { page: { messageId: string }[]; continueCursor: string; isDone: boolean } =
          await user.query(api.messages.list, { ...filter, paginationOpts: { numItems: size, cursor } });
        seen.push(...page.page.map(({ messageId }) => messageId));
        cursor = page.continueCursor;
        isDone = page.isDone;
      }
      const listed: string[] = [];
      let after: string | null = null;
      do {
        const page: { page: { messageId: string }[]; cursor: string | null } = await gateway.query(
          api.service.listMessages,
          { ...filter, cursor: after, limit: size },
        );
        expect(page.page.length).toBeLessThanOrEqual(size);
        listed.push(...page.page.map(({ messageId }) => messageId));
        after = page.cursor;
      } while (after !== null);
      const positions = (found: string[]) => [...new Set(found)].map((id) => ids.indexOf(id));
      expect({ filter, size, people: positions(seen) }).toEqual({ filter, size, people: expected });
      expect({ filter, size, programs: listed.map((id) => ids.indexOf(id)) }).toEqual({
        filter,
        size,
        programs: expected,
      });
    }
}, 120_000);

test("a search finds by beginnings of addresses, by domains of recipients and by words of the subject, beside a filter", async () => {
  const user = await asUser(await seeded());
  const found = async (filter: Filter, numItems = 50) => {
    const seen: number[] = [];
    let cursor: string | null = null;
    for (let isDone = false; !isDone; ) {
      const page: { page: { messageId: string }[]; continueCursor: string; isDone: boolean } =
        await user.query(api.messages.list, { ...filter, paginationOpts: { numItems, cursor } });
      seen.push(...page.page.map(({ messageId }) => ids.indexOf(messageId)));
      cursor = page.continueCursor;
      isDone = page.isDone;
    }
    return seen;
  };
  expect(await found({ search: "ann" })).toEqual([3, 2, 0]);
  expect(await found({ search: "Ann@" })).toEqual([3, 2, 0]);
  expect([...new Set(await found({ search: "ann@exa" }, 1))]).toEqual([3, 2, 0]);
  expect(await found({ search: "ann@", status: "accepted" })).toEqual([2, 0]);
  expect(await found({ search: "@example.net" })).toEqual([5, 4, 3, 2, 1, 0]);
  expect(await found({ search: "@example.net", tag: "b" })).toEqual([3, 1]);
  expect(await found({ search: "order" })).toEqual([5, 4, 3, 2, 1, 0]);
  expect(await found({ search: "order bob" })).toEqual([1]);
  expect(await found({ search: "@example.com" })).toEqual([]);
});

test("a line of the list tells what matters about its message", async () => {
  const t = startConvex();
  const recipients = [0, 1, 2, 3].map((index) => ({ address: address(index), role: "to" }));
  await t.mutation(internal.record.apply, {
    events: JSON.stringify([sample("mail.accepted", { recipients }), sample("mail.deferred")]),
  });
  const { page } = await (await asUser(t)).query(api.messages.list, {
    paginationOpts: { numItems: 10, cursor: null },
  });
  expect(page).toEqual([
    {
      messageId,
      from: "shop@example.com",
      subject: "Your order",
      recipients: [address(0), address(1), address(2)],
      recipientCount: 4,
      status: "sending",
      acceptedAt: noon,
      updatedAt: noon + 1_000,
      tags: ["order"],
      lastReply: "450 4.7.1 Greylisted, see you later",
    },
  ]);
});

test("a message shows its recipients in envelope order and its events in order of time", async () => {
  const t = startConvex();
  const recipients = Array.from({ length: 12 }, (_, index) => ({ address: address(index), role: "to" }));
  await t.mutation(internal.record.apply, {
    events: JSON.stringify([
      lateBounce({}, 11),
      sample("mail.delivered", {}, 11),
      sample("mail.deferred", {}, 11),
      sample("mail.accepted", { recipients }),
      sample("mail.suppressed", {}, 3),
    ]),
  });
  const found = await asGateway(t).query(api.service.getMessage, { messageId });
  expect(found?.deliveries.map(({ address }) => address)).toEqual(recipients.map(({ address }) => address));
  expect(found?.deliveries[11]).toMatchObject({
    status: "bounced",
    attempts: 2,
    reason: "mailbox.unknown",
    reply: "550 5.1.1 User unknown",
    mx: "mail.example.net",
  });
  expect(found?.deliveries[3]?.status).toBe("suppressed");
  expect(found?.deliveries[0]?.status).toBe("accepted");
  expect(found?.timeline.map(({ subject }) => subject)).toEqual([
    "mail.accepted",
    "mail.suppressed",
    "mail.deferred",
    "mail.delivered",
    "mail.bounced",
  ]);
  expect(found?.timeline[2]).toMatchObject({
    recipient: address(11),
    reply: "450 4.7.1 Greylisted, see you later",
    detail: { attempt: 1, reason: "greylisted", conversation: { mx: "mx.example.net" } },
  });
  expect(found?.message).toMatchObject({
    status: "sending",
    metadata: { order: "17" },
    messageIdHeader: `${messageId}@example.com`,
    bodyBytes: 1_234,
    domain: "example.com",
  });
});

test("a recipient that waits stands as its message: scheduled, held, cancelled", async () => {
  const t = startConvex();
  const status = async () =>
    (await asGateway(t).query(api.service.getMessage, { messageId }))?.deliveries.map(({ status }) => status);
  await t.mutation(internal.record.apply, {
    events: JSON.stringify([sample("mail.submitted", { scheduledAt: noon + 3_600_000 })]),
  });
  expect(await status()).toEqual(["scheduled"]);
  await t.mutation(internal.record.apply, { events: JSON.stringify([sample("mail.held")]) });
  expect(await status()).toEqual(["held"]);
  await t.mutation(internal.record.apply, { events: JSON.stringify([sample("mail.cancelled")]) });
  expect(await status()).toEqual(["cancelled"]);
});

test("a message is readable before its details came", async () => {
  const t = startConvex();
  await t.mutation(internal.record.apply, { events: JSON.stringify([sample("mail.delivered")]) });
  const found = await (await asUser(t)).query(api.messages.get, { messageId });
  expect(found?.message).toMatchObject({
    status: "delivered",
    subject: "",
    recipientCount: 1,
    acceptedAt: noon,
  });
  expect(found?.deliveries).toMatchObject([{ address: address(), role: "to", status: "delivered" }]);
});

test("a message that is not known is null", async () => {
  const t = startConvex();
  expect(await (await asUser(t)).query(api.messages.get, { messageId })).toBeNull();
});
