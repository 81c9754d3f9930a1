import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import type { Bus } from "@tyto/bus";
import { startNats, type TestNats } from "@tyto/bus/testing";
import { Address, defaultOrganization, deliveryId, newMessageId } from "@tyto/contracts";
import { until } from "../../../../test/parts/until.ts";
import type { Report } from "../feedback.ts";
import type { NewHold } from "../holds/holds.ts";
import { originOf } from "../origin.ts";
import { createBreakers } from "./breakers.ts";

let nats: TestNats;
let bus: Bus;
beforeAll(async () => {
  nats = await startNats({ users: true });
  bus = await nats.connect("mta");
});
beforeEach(() => nats.clear());
afterAll(() => nats.stop());

const nowMs = 1_800_000_000_000;

/** The breakers of one mta process, on the one nats-server. */
async function startProcess() {
  const held: NewHold[] = [];
  const bucket = bus.bucket("BREAKERS");
  const breakers = createBreakers({
    bucket,
    hold: async (hold) => held.push(hold),
    now: () => nowMs,
    random: () => 0.5,
    log: { warn() {} },
  });
  const watch = await bucket.watch((_, record, revision) => {
    if (record !== undefined) breakers.restore(record, revision);
  });
  const see = (outcome: "delivered" | "bounced", campaign?: string) => {
    const messageId = newMessageId(nowMs);
    breakers.see({
      atMs: nowMs,
      entry: {
        ...{ messageId, deliveryId: deliveryId(messageId, 0), organizationId: defaultOrganization },
        ...{ recipient: Address.parse("bob@example.net"), attempt: 1 },
        ...(campaign === undefined ? {} : { campaign }),
      },
      site: { id: "google" },
      egress: { id: "192.0.2.1" },
      ...(outcome === "delivered" ? { outcome } : { outcome, reason: "mailbox.unknown", hard: true }),
    });
  };
  return { breakers, held, see, watch };
}
const times = (count: number, what: () => void) => {
  for (let n = 0; n < count; n++) what();
};
const complaint = (id: string, campaign?: string): Report => ({
  ...{ id, kind: "complained", messageId: "01ke70ehg0abcdefghjkmnpqrs", organizationId: defaultOrganization },
  ...(campaign === undefined
    ? {}
    : { origin: originOf("mail1", { organizationId: defaultOrganization, campaign }) }),
});
const rateOf = ({ breakers }: Awaited<ReturnType<typeof startProcess>>) => breakers.status()[0]?.bounceRate;

test("two processes count together: bounces that are too few in each stop the organisation at its one limit", async () => {
  const [one, other] = [await startProcess(), await startProcess()];
  times(10, () => one.see("delivered"));
  times(4, () => one.see("bounced"));
  times(12, () => other.see("delivered"));
  times(3, () => other.see("bounced"));
  await Promise.all([one.breakers.save(), other.breakers.save()]);
  await until("each knows the sum", () => rateOf(one) === 7 / 29 && rateOf(other) === 7 / 29);
  expect([...one.held, ...other.held]).toEqual([]);

  other.see("bounced");
  expect(other.held).toMatchObject([
    { scope: "organization", by: "breaker:bounces", why: expect.stringContaining("8 of the last 30") },
  ]);
  await other.breakers.save();
  await until("the other knows that it is held", () => one.breakers.status()[0]?.state === "open");
  expect(one.held).toEqual([]);
});

test("what both count in the same moment is added up when the second one stores it", async () => {
  const [one, other] = [await startProcess(), await startProcess()];
  times(4, () => one.see("bounced"));
  times(4, () => other.see("bounced"));
  expect([...one.held, ...other.held]).toEqual([]);
  await Promise.all([one.breakers.save(), other.breakers.save()]);
  await until("one of them stops it", () => one.held.length + other.held.length > 0);
  expect([...one.held, ...other.held]).toHaveLength(1);
});

test("a campaign that both send is stopped for both, and its organisation goes on", async () => {
  const [one, other] = [await startProcess(), await startProcess()];
  times(5, () => one.see("bounced", "spring"));
  await one.breakers.save();
  times(3, () => other.see("bounced", "spring"));
  await other.breakers.save();
  await until("the campaign is stopped", () => one.held.length + other.held.length > 0);
  await Promise.all([one.breakers.save(), other.breakers.save()]);
  expect([...one.held, ...other.held].map(({ scope }) => scope)).toEqual(["campaign"]);
  const ofOrganization = () => one.breakers.status().find(({ scope }) => scope === "organization");
  await until("it knows that its organisation begins anew", () => ofOrganization()?.bounceRate === undefined);
  times(3, () => one.see("bounced"));
  await one.breakers.save();
  expect([...one.held, ...other.held]).toHaveLength(1);
});

test("a restart forgets nothing, and a report counts once in whichever process it comes again", async () => {
  const first = await startProcess();
  times(20, () => first.see("delivered", "spring"));
  const heard = Promise.all(["a", "b"].map((id) => first.breakers.hear(complaint(id, "spring"))));
  await first.breakers.save();
  expect(await heard).toEqual([true, true]);
  first.watch.stop();

  // It never saw a message of the campaign: the mark in the return path tells whose the complaint is.
  const second = await startProcess();
  const again = Promise.all(["a", "b"].map((id) => second.breakers.hear(complaint(id, "spring"))));
  await second.breakers.save();
  expect(await again).toEqual([true, true]);
  expect(second.held).toEqual([]);
  void second.breakers.hear(complaint("c", "spring"));
  expect(second.held).toMatchObject([{ scope: "campaign", id: "default/spring", by: "breaker:complaints" }]);
});

test("a thousand messages of one second are one write", async () => {
  const one = await startProcess();
  times(1_000, () => one.see("delivered"));
  await one.breakers.save();
  const found = await bus.bucket("BREAKERS").find("organization/default");
  expect(found?.value?.windows.at(-1)?.blocks.reduce((sum, { sent }) => sum + sent, 0)).toBe(1_000);
  await one.breakers.save();
  expect((await bus.bucket("BREAKERS").find("organization/default"))?.revision).toBe(found?.revision ?? 0);
});
