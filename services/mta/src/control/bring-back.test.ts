import { afterEach, expect, test } from "bun:test";
import {
  Address,
  type ControlRequest,
  Domain,
  defaultOrganization,
  deliveryId,
  type Hold,
  newMessageId,
  OrganizationId,
  type QueueEntry,
} from "@tyto/contracts";
import { until } from "../../../../test/parts/until.ts";
import type { Leave } from "../observation.ts";
import type { ActLimits } from "./act.ts";
import { BringBack, type BringBackPorts } from "./bring-back.ts";

const entryOf = (recipient: string, more: Partial<QueueEntry> = {}): QueueEntry => {
  const messageId = newMessageId();
  return {
    ...{ deliveryId: deliveryId(messageId, 0), messageId, organizationId: defaultOrganization },
    ...{ recipient: Address.parse(recipient), from: Address.parse("ann@example.com") },
    ...{ domain: Domain.parse("example.com"), attempt: 1, bodyBytes: 1, bodyChunks: 1, recipients: 1 },
    ...{ acceptedAt: 0, expiresAt: 1_000_000, looks: 1 },
    ...more,
  };
};
const holdOf = (scope: Hold["scope"], id: string, site?: string): Hold => ({
  ...{ key: `${scope}:${id}`, scope, id, why: "a test", by: "ann", sinceMs: 0 },
  ...(site === undefined ? {} : { site }),
});

let opened: BringBack[] = [];
afterEach(async () => {
  await Promise.all(opened.map((one) => one.stop()));
  opened = [];
});

/** A queue of entries for the site `google`, which is looked through; what is brought back of it stays in it. */
function bringing(entries: readonly QueueEntry[], ports: Partial<BringBackPorts> = {}) {
  const looks: string[][] = [];
  const requests: ControlRequest<"mta.act">[] = [];
  const act = async (request: ControlRequest<"mta.act">, { only }: ActLimits) => {
    const meant = entries.filter((entry) => only?.(entry, "google"));
    looks.push(meant.map(({ recipient }) => recipient));
    requests.push(request);
    return { matched: meant.length, touched: meant.length, inHand: 0, sample: [] };
  };
  const bringBack = new BringBack({
    ...{ act, leave: () => ({ kind: "go" }), now: Date.now, log: { info() {}, warn() {} }, againMs: 5 },
    ...{ isLeftAlone: () => false, paceMs: 0 },
    ...ports,
  });
  opened.push(bringBack);
  return { bringBack, looks, requests, act };
}

const acme = OrganizationId.parse("acme");
test.each<[Hold, string[]]>([
  [holdOf("everything", "*"), ["a@one.example", "b@two.example", "c@two.example"]],
  [holdOf("site", "google"), ["a@one.example", "b@two.example", "c@two.example"]],
  [holdOf("site", "yahoo"), []],
  [holdOf("domain", "two.example"), ["b@two.example", "c@two.example"]],
  [holdOf("organization", "acme"), ["c@two.example"]],
  [holdOf("campaign", "spring"), ["b@two.example"]],
  [holdOf("campaign", "default/spring"), ["b@two.example"]],
  [holdOf("campaign", "acme/spring"), []],
  [holdOf("organization", "acme", "google"), ["c@two.example"]],
  [holdOf("organization", "acme", "yahoo"), []],
  [holdOf("campaign", "default/spring", "google"), ["b@two.example"]],
])(
  "what %j held comes back, and nothing that waits for its next attempt or its time",
  async (hold, expected) => {
    const { looks: _, ...retried } = entryOf("retried@two.example", {
      organizationId: acme,
      campaign: "spring",
    });
    const { bringBack, looks, requests } = bringing([
      entryOf("a@one.example"),
      entryOf("b@two.example", { campaign: "spring" }),
      entryOf("c@two.example", { organizationId: acme }),
      retried,
    ]);
    bringBack.release(hold);
    await until("it was looked for", () => looks.length > 0, { everyMs: 1 });
    expect(looks[0]).toEqual(expected);
    expect(requests[0]).toMatchObject({ action: "requeue", isDryRun: false, why: `released: ${hold.key}` });
  },
);

test("what another hold keeps stays where it is", async () => {
  const leave = ({ recipient }: Pick<QueueEntry, "recipient">): Leave =>
    recipient.startsWith("a") ? { kind: "wait", untilMs: 1, why: "held" } : { kind: "go" };
  const { bringBack, looks } = bringing([entryOf("a@one.example"), entryOf("b@one.example")], { leave });
  bringBack.release(holdOf("everything", "*"));
  await until("it was looked for", () => looks.length > 0, { everyMs: 1 });
  expect(looks[0]).toEqual(["b@one.example"]);
});

test("the queue is looked through twice: what was in hand at first is put back a moment later", async () => {
  const entries: QueueEntry[] = [];
  const { act, looks } = bringing(entries);
  const { bringBack } = bringing([], {
    async act(request, limits) {
      const acted = await act(request, limits);
      if (looks.length === 1) entries.push(entryOf("late@one.example"));
      return acted;
    },
  });
  bringBack.release(holdOf("site", "google"));
  await until("it was found", () => looks.length >= 2, { everyMs: 1 });
  expect(looks).toEqual([[], ["late@one.example"]]);
  bringBack.release(holdOf("site", "google"));
  await until("the next release is looked for, too", () => looks.length >= 4, { everyMs: 1 });
});

test("holds that are released while the queue is looked through are looked for together", async () => {
  const free = Promise.withResolvers<void>();
  const inner = bringing([entryOf("a@one.example"), entryOf("b@two.example")]);
  let isFirst = true;
  const { bringBack } = bringing([], {
    async act(request, limits) {
      if (isFirst) await free.promise;
      isFirst = false;
      return inner.act(request, limits);
    },
  });
  bringBack.release(holdOf("site", "none"));
  bringBack.release(holdOf("domain", "one.example"));
  bringBack.release(holdOf("domain", "two.example"));
  free.resolve();
  await until("both came back", () => inner.looks.length >= 2, { everyMs: 1 });
  expect(inner.looks[1]).toEqual(["a@one.example", "b@two.example"]);
});

test("one release brings back 100,000 entries at most at a look, from position to position", async () => {
  const asked: (number | undefined)[] = [];
  const { bringBack } = bringing([], {
    async act({ after = 0, entriesMax }) {
      asked.push(after);
      return { matched: entriesMax, touched: entriesMax, inHand: 0, sample: [], next: after + 1 };
    },
    againMs: 60_000,
  });
  bringBack.release(holdOf("everything", "*"));
  await until("it is enough", () => asked.length === 20, { everyMs: 1 });
  await bringBack.stop();
  expect(asked).toEqual(Array.from({ length: 20 }, (_, at) => at));
});

test("what comes back in a second is bounded, and a stop does not wait for it", async () => {
  let acts = 0;
  const { bringBack } = bringing([], {
    async act({ after = 0, entriesMax }) {
      acts++;
      return { matched: entriesMax, touched: entriesMax, inHand: 0, sample: [], next: after + 1 };
    },
    paceMs: 3_600_000,
  });
  bringBack.release(holdOf("everything", "*"));
  await until("the first came back", () => acts === 1, { everyMs: 1 });
  await bringBack.stop();
  expect(acts).toBe(1);
});

test("of a site that is left alone a few ask first, and the others come when it takes mail", async () => {
  let isAlone = true;
  const { looks: _, ...deferred } = entryOf("deferred@one.example");
  const parked = Array.from({ length: 3 }, (_, at) => entryOf(`${at}@one.example`));
  const { bringBack, looks, requests } = bringing([deferred, ...parked], { isLeftAlone: () => isAlone });
  bringBack.release({ key: "pause:google", scope: "site", id: "google" });
  await until("one may ask", () => looks.length === 1, { everyMs: 1 });
  expect([looks[0]?.length, requests[0]?.entriesMax]).toEqual([4, 5]);
  isAlone = false;
  await until("it was looked for twice more", () => looks.length === 3, { everyMs: 1 });
  expect(looks.slice(1)).toEqual(Array(2).fill(parked.map(({ recipient }) => recipient)));
});

test("a site that takes no mail within a minute is asked by nobody else, and the rest comes by itself", async () => {
  let nowMs = 0;
  const { bringBack, looks } = bringing([entryOf("a@one.example")], {
    isLeftAlone: () => true,
    now: () => nowMs,
    againMs: 20_000,
  });
  bringBack.release({ key: "pause:google", scope: "site", id: "google" });
  await until("one may ask", () => looks.length === 1, { everyMs: 1 });
  nowMs = 60_000;
  bringBack.release({ key: "pause:yahoo", scope: "site", id: "yahoo" });
  await until("the next one is looked for", () => looks.length === 2, { everyMs: 1 });
  expect(looks).toEqual([["a@one.example"], []]);
});

test("a queue that cannot be changed now is told, and looked through again", async () => {
  const warned: string[] = [];
  const inner = bringing([entryOf("a@one.example")]);
  let isDown = true;
  const { bringBack } = bringing([], {
    async act(request, limits) {
      if (isDown) {
        isDown = false;
        throw new Error("no answer");
      }
      return inner.act(request, limits);
    },
    log: { info() {}, warn: (event) => void warned.push(event) },
  });
  bringBack.release(holdOf("everything", "*"));
  await until("it came back", () => inner.looks.length > 0, { everyMs: 1 });
  expect(inner.looks[0]).toEqual(["a@one.example"]);
  expect(warned).toEqual(["mta.held-mail-not-back"]);
});
