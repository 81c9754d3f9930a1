import { beforeEach, describe, expect, test } from "bun:test";
import type { Arrival, Verdict } from "@tyto/bus";
import {
  Address,
  type AttemptMark,
  type Claim,
  type Conversation,
  Domain,
  defaultOrganization,
  deliveryId,
  MessageId,
  type QueueEntry,
} from "@tyto/contracts";
import { Registry, silentLog } from "@tyto/service";
import type { Attempted } from "./attempt.ts";
import { createDeliveries, type DeliverPorts } from "./deliver.ts";
import { createStore } from "./joint-records.testing.ts";
import { createMetrics } from "./metrics.ts";
import type { Observation, Wayless } from "./observation.ts";
import { Rule } from "./rules/rule.ts";
import { createRules } from "./rules/rules.ts";
import type { Site } from "./site.ts";

const messageId = MessageId.parse("01jd4000000000000000000000");
const nowMs = 1_790_000_000_000;
const entry: QueueEntry = {
  deliveryId: deliveryId(messageId, 0),
  messageId,
  organizationId: defaultOrganization,
  recipient: Address.parse("bob@example.org"),
  from: Address.parse("ann@example.com"),
  domain: Domain.parse("example.com"),
  attempt: 1,
  bodyBytes: 100,
  bodyChunks: 1,
  recipients: 1,
  acceptedAt: nowMs,
  expiresAt: nowMs + 86_400_000,
};
const arrival = { times: 1, sequence: 1, storedAtMs: nowMs - 60_000 };
const conversation: Conversation = { mx: "mx", ip: "192.0.2.1", tls: null, reused: false, durationMs: 1 };
const delivered: Attempted = {
  kind: "delivered",
  reply: { code: 250, text: "ok" },
  conversation,
  dkim: [],
  returnPath: Address.parse("b@bounces.example.com"),
};
const deferred: Attempted = { kind: "refused", reply: { code: 451, text: "later" }, conversation };
const inDoubt: Attempted = {
  kind: "failed",
  isPermanent: false,
  reason: "receiver.busy",
  explanation: "lost; it may have arrived",
  isInDoubt: true,
};

let steps: string[];
let marks: Map<string, AttemptMark>;
let claims: Map<string, Claim>;
let outcomes: Attempted[];
let suppressed: boolean;
let seen: Observation[];
let seenNowhere: Wayless[];
/** The last step before the session was free for another message. */
let freedAfter: string | undefined;
/** Steps that fail, each as often as it stands here. */
let failing: string[];
let registry: Registry;
let metrics: ReturnType<typeof createMetrics>;

beforeEach(() => {
  steps = [];
  seen = [];
  seenNowhere = [];
  marks = new Map();
  claims = new Map();
  outcomes = [delivered];
  suppressed = false;
  freedAfter = undefined;
  failing = [];
  registry = new Registry();
  metrics = createMetrics(
    registry,
    async () => ({ ready: 0, later: 0 }),
    () => ({ open: 0, idle: 0 }),
  );
});

function step(name: string) {
  const at = failing.indexOf(name.split(" ")[0] ?? "");
  if (at !== -1) {
    failing.splice(at, 1);
    throw new Error(`${name} failed`);
  }
  steps.push(name);
}

const ports = (): DeliverPorts => ({
  markOf: async (id) => marks.get(id),
  isSuppressed: async () => suppressed,
  async claim(id, claim) {
    const first = claims.get(id) ?? claim;
    claims.set(id, first);
    return first;
  },
  async attempt(_entry, _siteWaitMs, hold) {
    steps.push("attempt");
    hold(() => {
      freedAfter = steps.at(-1);
    });
    const outcome = outcomes.shift();
    if (outcome === undefined) throw new Error("no more outcomes");
    return outcome;
  },
  async putMark(id, mark) {
    step(`mark ${mark.attempt}${mark.final ? " final" : ""}`);
    marks.set(id, mark);
  },
  publish: async ({ subject }) => step(`publish ${subject}`),
  queue: async ({ attempt, site }, atMs) =>
    step(`queue ${attempt} in ${(atMs - nowMs) / 1_000} s${site === undefined ? "" : ` for ${site}`}`),
  see: (observation) => void seen.push(observation),
  seeNowhere: (observation) => void seenNowhere.push(observation),
  dropBody: async () => void steps.push("drop"),
  now: () => nowMs,
  random: () => 0.5,
  firstWaitMs: 60_000,
  log: silentLog,
  metrics,
});
const run = (change: Partial<QueueEntry> = {}, how: Arrival = arrival): Promise<Verdict> =>
  createDeliveries(ports()).fromQueue([{ ...entry, ...change }], how);
/** As after a crash: somebody may have had the entry before. */
const again: Arrival = { ...arrival, times: 2, earlierUntil: Number.POSITIVE_INFINITY };
const site: Site = { id: "mx.example.org", hosts: [] };
const via = { site, egress: { id: "one", ehloName: "mail.test" } };

test("an outcome is marked, then told, then acknowledged", async () => {
  expect(await run()).toEqual({ kind: "done" });
  expect(steps).toEqual(["attempt", "mark 1 final", "publish mail.delivered", "drop"]);
});

test("a deferral is marked, told and scheduled before it is acknowledged", async () => {
  outcomes = [deferred];
  expect(await run()).toEqual({ kind: "done" });
  expect(steps).toEqual(["attempt", "mark 1", "publish mail.deferred", "queue 2 in 60 s"]);
});

test("the session is free for another message only when the outcome is stored", async () => {
  await run({ recipients: 2 });
  expect(freedAfter).toBe("publish mail.delivered");
  outcomes = [deferred];
  await createDeliveries(ports()).atOnce([{ ...entry, recipients: 2 }]);
  expect(freedAfter).toBe("queue 2 in 60 s");
});

test("past the queue the event is the mark, and a deferral goes to the queue", async () => {
  outcomes = [delivered, deferred];
  const { atOnce } = createDeliveries(ports());
  expect(await atOnce([entry])).toEqual(["settled"]);
  expect(steps).toEqual(["attempt", "publish mail.delivered", "drop"]);
  steps = [];
  expect(await atOnce([{ ...entry, deliveryId: deliveryId(messageId, 1) }])).toEqual(["settled"]);
  expect(steps).toEqual(["attempt", "publish mail.deferred", "queue 2 in 60 s"]);
});

test("what was sent past the queue is not sent from it", async () => {
  const { atOnce, fromQueue } = createDeliveries(ports());
  await atOnce([entry]);
  steps = [];
  expect(await fromQueue([entry], arrival)).toEqual({ kind: "done" });
  expect(steps).toEqual([]);
});

test("what has to wait past the queue goes into it, for its site, and is sent from there", async () => {
  outcomes = [{ kind: "wait", untilMs: nowMs + 20_000, why: "busy", site }, delivered];
  const { atOnce, fromQueue } = createDeliveries(ports());
  expect(await atOnce([entry])).toEqual(["settled"]);
  expect(steps).toEqual(["attempt", "queue 1 in 20 s for mx.example.org"]);
  steps = [];
  expect(await fromQueue([entry], arrival)).toEqual({ kind: "done" });
  expect(steps).toEqual(["attempt", "mark 1 final", "publish mail.delivered", "drop"]);
});

test("the entries of one message are settled together, each by itself", async () => {
  outcomes = [delivered, { kind: "wait", untilMs: nowMs + 20_000, why: "busy", site }];
  const two = { ...entry, deliveryId: deliveryId(messageId, 1) };
  expect(await createDeliveries(ports()).fromQueue([entry, two], arrival)).toEqual({ kind: "done" });
  expect(steps).toContain("mark 1 final");
  expect(steps).toContain("queue 1 in 20 s for mx.example.org");
});

test("one of a message finds out that their turn is far away: the others go back with it, untried, unless it is their own time that ends", async () => {
  const away = {
    kind: "wait",
    untilMs: nowMs + 600_000,
    why: "many before it",
    isBooked: true,
    site,
  } as const;
  const entries = [0, 1, 2, 3].map((index) => ({ ...entry, deliveryId: deliveryId(messageId, index) }));
  const [first, second, expired, ofOther] = entries as [QueueEntry, QueueEntry, QueueEntry, QueueEntry];
  outcomes = [away, delivered];
  const { fromQueue } = createDeliveries(ports());
  const all = [first, second, { ...expired, expiresAt: nowMs }, { ...ofOther, campaign: "other" }];
  expect(await fromQueue(all, arrival)).toEqual({ kind: "done" });
  expect(steps.filter((name) => name === "attempt")).toHaveLength(2);
  expect(steps.filter((name) => name.startsWith("queue"))).toEqual([
    "queue 1 in 600 s for mx.example.org",
    "queue 1 in 600 s for mx.example.org",
  ]);
  expect(steps).toContain("publish mail.bounced");
  expect(steps).toContain("publish mail.delivered");
});

test("the recipients of one message go to the queue with the first that is sent away", async () => {
  outcomes = [{ kind: "wait", untilMs: nowMs + 60_000, why: "many before it", isBooked: true, site }];
  const { atOnce } = createDeliveries(ports());
  const recipients = [0, 1, 2].map((index) => ({ ...entry, deliveryId: deliveryId(messageId, index) }));
  expect(await atOnce(recipients)).toEqual(["settled", "settled", "settled"]);
  expect(steps).toEqual([
    "attempt",
    ...Array.from({ length: 3 }, () => "queue 1 in 60 s for mx.example.org"),
  ]);
});

test("a hold keeps back one entry and says nothing about the others of its message", async () => {
  outcomes = [{ kind: "wait", untilMs: nowMs + 20_000, why: "held", site }, delivered];
  const two = { ...entry, deliveryId: deliveryId(messageId, 1) };
  await createDeliveries(ports()).fromQueue([entry, two], arrival);
  expect(steps.filter((name) => name === "attempt")).toHaveLength(2);
});

test("what waits is looked at again after half a minute, twice as long each time up to a quarter of an hour, and never after its time is over", async () => {
  const waiting = { kind: "wait", untilMs: nowMs + 7_200_000, why: "held", site } as const;
  outcomes = [waiting, waiting, waiting, waiting];
  await run();
  await run({ looks: 2 });
  await run({ looks: 50 });
  await run({ expiresAt: nowMs + 10_000 });
  expect(steps.filter((name) => name.startsWith("queue"))).toEqual(
    [30, 120, 900, 10].map((seconds) => `queue 1 in ${seconds} s for mx.example.org`),
  );
});

test("everything that learns from outcomes sees those that a server had a part in, and others are told apart", async () => {
  outcomes = [{ ...deferred, via } as Attempted, { ...delivered, via } as Attempted, delivered];
  await run({ campaign: "spring" });
  await run({ attempt: 2 });
  await run({ attempt: 3, deliveryId: deliveryId(messageId, 1) });
  expect(seen).toMatchObject([
    {
      outcome: "deferred",
      reason: "receiver.busy",
      reply: { code: 451 },
      site: { id: "mx.example.org" },
      egress: { id: "one" },
      entry: { campaign: "spring", attempt: 1 },
    },
    { outcome: "delivered" },
  ]);
  expect(seenNowhere).toMatchObject([{ outcome: "delivered", entry: { attempt: 3 } }]);
  expect(steps).toContain("queue 2 in 60 s for mx.example.org");
});

describe("what a rule with the action bounce matches", () => {
  const rule = Rule.parse({
    id: "never-again",
    about: "They will not take this later either",
    when: { code: "4xx", pattern: "never" },
    threshold: { count: 2, withinS: 3_600 },
    action: "bounce",
    forS: 600,
  });
  const never: Attempted = {
    ...{ kind: "refused", reply: { code: 451, text: "Never, whatever we say" }, conversation, via },
  };
  /** Deliveries whose outcomes the rule learns from, and is asked about, as the gates wire it. */
  const deliveriesWith = (published: AttemptMark["event"][], clock = { nowMs }, seen: Observation[] = []) => {
    const rules = createRules({
      ...{ rules: [rule], shipped: new Set(), apply() {}, bucket: createStore(), now: () => clock.nowMs },
      log: { warn() {} },
    });
    const deliveries = createDeliveries({
      ...ports(),
      see(observation) {
        seen.push(observation);
        rules.see(observation);
      },
      giveUp: (place) => (reason, reply) => rules.bounces(place, reason, reply),
      publish: async (event) => void published.push(event),
      now: () => clock.nowMs,
    });
    return (at: number) =>
      deliveries.fromQueue([{ ...entry, deliveryId: deliveryId(messageId, at) }], arrival);
  };

  test("is given up for good with the rule's reason, once the rule is in force, and as long as it is", async () => {
    const published: AttemptMark["event"][] = [];
    const clock = { nowMs };
    const seen: Observation[] = [];
    const deliver = deliveriesWith(published, clock, seen);
    outcomes = [never, never, never, { ...deferred, via } as Attempted, never];
    for (const at of [0, 1, 2, 3]) expect(await deliver(at)).toEqual({ kind: "done" });
    expect(published.map(({ subject }) => subject)).toEqual([
      "mail.deferred",
      "mail.deferred",
      "mail.bounced",
      "mail.deferred",
    ]);
    expect(published[2]?.payload).toMatchObject({
      source: "smtp",
      hard: false,
      reply: { code: 451, text: "Never, whatever we say" },
      explanation: "given up by the rule never-again: They will not take this later either",
    });
    expect(seen.map(({ madeBy }) => madeBy)).toEqual([undefined, undefined, "rule", undefined]);
    expect(marks.get(deliveryId(messageId, 2))).toMatchObject({ attempt: 1, final: true });
    // The third has no next attempt; each of the others has one.
    expect(steps.filter((name) => name.startsWith("queue"))).toHaveLength(3);
    clock.nowMs += 601_000;
    await deliver(4);
    expect(published[4]?.subject).toBe("mail.deferred");
  });

  test("and the entry that comes back is not sent again", async () => {
    const published: AttemptMark["event"][] = [];
    const deliver = deliveriesWith(published);
    outcomes = [never, never, never];
    for (const at of [0, 1, 2]) await deliver(at);
    const attempts = () => steps.filter((name) => name === "attempt").length;
    expect(attempts()).toBe(3);
    await deliver(2);
    expect(attempts()).toBe(3);
  });
});

test("the body stays while other recipients may need it", async () => {
  await run({ recipients: 2 });
  expect(steps).not.toContain("drop");
});

test("after a crash, an entry whose final mark exists is not sent again; its event is told again", async () => {
  await run();
  steps = [];
  expect(await run({}, again)).toEqual({ kind: "done" });
  expect(steps).toEqual(["publish mail.delivered"]);
});

test("after a crash, an entry whose deferral is marked gets its event and its schedule again, at the same time", async () => {
  outcomes = [deferred];
  await run();
  steps = [];
  expect(await run({}, again)).toEqual({ kind: "done" });
  expect(steps).toEqual(["publish mail.deferred", "queue 2 in 60 s"]);
});

test("a copy of an entry that is over ends without a word, and schedules nothing twice", async () => {
  outcomes = [deferred];
  await run();
  steps = [];
  expect(await run()).toEqual({ kind: "done" });
  expect(steps).toEqual([]);
});

test("an old entry that comes back after a later attempt schedules nothing", async () => {
  outcomes = [deferred, deferred];
  await run();
  await run({ attempt: 2 });
  steps = [];
  expect(await run({}, again)).toEqual({ kind: "done" });
  expect(steps).toEqual(["publish mail.deferred"]);
});

test("the next attempt goes on after the mark of the one before", async () => {
  outcomes = [deferred, delivered];
  await run();
  steps = [];
  await run({ attempt: 2 });
  expect(steps).toEqual(["attempt", "mark 2 final", "publish mail.delivered", "drop"]);
});

test.each(["mark", "publish"])(
  "when a %s cannot be stored it is repeated, and the message is not sent again",
  async (name) => {
    failing = [name, name];
    expect(await run()).toEqual({ kind: "done" });
    expect(steps).toEqual(["attempt", "mark 1 final", "publish mail.delivered", "drop"]);
  },
);

test("a schedule that cannot be stored is repeated before the entry is acknowledged", async () => {
  outcomes = [deferred];
  failing = ["queue"];
  expect(await run()).toEqual({ kind: "done" });
  expect(steps.at(-1)).toBe("queue 2 in 60 s");
});

test("a suppressed recipient and an expired entry end without an attempt", async () => {
  suppressed = true;
  await run();
  expect(steps).toEqual(["mark 1 final", "publish mail.suppressed", "drop"]);
  suppressed = false;
  marks.clear();
  steps = [];
  await run({ expiresAt: nowMs });
  expect(steps).toEqual(["mark 1 final", "publish mail.bounced", "drop"]);
});

test("the suppression list is asked again for entries that waited, were deferred or were scheduled", async () => {
  let asked = 0;
  const { fromQueue: handler } = createDeliveries({
    ...ports(),
    async isSuppressed() {
      asked++;
      return false;
    },
  });
  outcomes = [delivered, deferred, delivered, delivered];
  await handler([entry], { ...arrival, storedAtMs: nowMs - 1_000 });
  expect(asked).toBe(0);
  marks.clear();
  await handler([entry], arrival);
  await handler([{ ...entry, attempt: 2 }], { ...arrival, storedAtMs: nowMs - 1_000 });
  marks.clear();
  await handler([{ ...entry, scheduledAt: nowMs }], { ...arrival, storedAtMs: nowMs - 1_000 });
  expect(asked).toBe(3);
});

test("a cancelled message is not sent and nothing is told; a released one is claimed", async () => {
  claims.set(messageId, { by: "cancelled", at: nowMs });
  expect(await run({ scheduledAt: nowMs })).toEqual({ kind: "done" });
  expect(steps).toEqual([]);
  claims.clear();
  await run({ scheduledAt: nowMs });
  expect(steps[0]).toBe("attempt");
  expect(claims.get(messageId)?.by).toBe("released");
});

test("a stop before the message went out gives the entry back", async () => {
  outcomes = [{ kind: "interrupted" }];
  expect(await run()).toMatchObject({ kind: "retry", afterMs: 0 });
  expect(steps).toEqual(["attempt"]);
});

test("the same delivery is never in hand twice", async () => {
  const waiting = Promise.withResolvers<AttemptMark | undefined>();
  const { fromQueue: handler } = createDeliveries({ ...ports(), markOf: () => waiting.promise });
  const first = handler([entry], arrival);
  expect(await handler([entry], { ...arrival, times: 2 })).toEqual({ kind: "done" });
  expect(steps).toEqual(["queue 1 in 5 s"]);
  waiting.resolve(undefined);
  expect(await first).toEqual({ kind: "done" });
  expect(steps.filter((name) => name === "attempt")).toHaveLength(1);
});

test("a session lost after the final dot is tried again and counted as in doubt", async () => {
  outcomes = [inDoubt];
  await run();
  expect(steps).toEqual(["attempt", "mark 1", "publish mail.deferred", "queue 2 in 60 s"]);
  expect(marks.get(entry.deliveryId)?.event.payload).toMatchObject({
    explanation: expect.stringContaining("may have arrived"),
  });
  expect(await registry.getSingleMetricAsString("tyto_mta_in_doubt_total")).toMatch(
    /^tyto_mta_in_doubt_total 1$/m,
  );
});
