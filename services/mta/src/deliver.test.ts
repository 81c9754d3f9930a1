import { beforeEach, expect, test } from "bun:test";
import type { Verdict } from "@tyto/bus";
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
import { createMetrics } from "./metrics.ts";

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
/** The last step before the session was free for another message. */
let freedAfter: string | undefined;
/** Steps that fail, each as often as it stands here. */
let failing: string[];
let registry: Registry;
let metrics: ReturnType<typeof createMetrics>;

beforeEach(() => {
  steps = [];
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
  later: async ({ attempt }, atMs) => step(`later ${attempt} in ${(atMs - nowMs) / 1_000} s`),
  dropBody: async () => void steps.push("drop"),
  now: () => nowMs,
  random: () => 0.5,
  firstWaitMs: 60_000,
  log: silentLog,
  metrics,
});
const run = (change: Partial<QueueEntry> = {}): Promise<Verdict> =>
  createDeliveries(ports()).fromQueue({ ...entry, ...change }, arrival);

test("an outcome is marked, then told, then acknowledged", async () => {
  expect(await run()).toEqual({ kind: "done" });
  expect(steps).toEqual(["attempt", "mark 1 final", "publish mail.delivered", "drop"]);
});

test("a deferral is marked, told and scheduled before it is acknowledged", async () => {
  outcomes = [deferred];
  expect(await run()).toEqual({ kind: "done" });
  expect(steps).toEqual(["attempt", "mark 1", "publish mail.deferred", "later 2 in 60 s"]);
});

test("the session is free for another message only when the outcome is stored", async () => {
  await run({ recipients: 2 });
  expect(freedAfter).toBe("publish mail.delivered");
  outcomes = [deferred];
  await createDeliveries(ports()).atOnce({ ...entry, recipients: 2 });
  expect(freedAfter).toBe("later 2 in 60 s");
});

test("past the queue the event is the mark, and a deferral goes to the queue", async () => {
  outcomes = [delivered, deferred];
  const { atOnce } = createDeliveries(ports());
  expect(await atOnce(entry)).toBe("settled");
  expect(steps).toEqual(["attempt", "publish mail.delivered", "drop"]);
  steps = [];
  expect(await atOnce({ ...entry, deliveryId: deliveryId(messageId, 1) })).toBe("settled");
  expect(steps).toEqual(["attempt", "publish mail.deferred", "later 2 in 60 s"]);
});

test("what was sent past the queue is not sent from it", async () => {
  const { atOnce, fromQueue } = createDeliveries(ports());
  await atOnce(entry);
  steps = [];
  expect(await fromQueue(entry, arrival)).toEqual({ kind: "done" });
  expect(steps).toEqual([]);
});

test("without room past the queue nothing is settled, and the queue may have the recipient", async () => {
  outcomes = [{ kind: "busy" }, delivered];
  const { atOnce, fromQueue } = createDeliveries(ports());
  expect(await atOnce(entry)).toBe("queue");
  expect(await fromQueue(entry, arrival)).toEqual({ kind: "done" });
  expect(steps).toEqual(["attempt", "attempt", "mark 1 final", "publish mail.delivered", "drop"]);
});

test("the body stays while other recipients may need it", async () => {
  await run({ recipients: 2 });
  expect(steps).not.toContain("drop");
});

test("an entry whose final mark exists is not sent again; its event is told again", async () => {
  await run();
  steps = [];
  expect(await run()).toEqual({ kind: "done" });
  expect(steps).toEqual(["publish mail.delivered"]);
});

test("an entry whose deferral is marked gets its event and its schedule again, at the same time", async () => {
  outcomes = [deferred];
  await run();
  steps = [];
  expect(await run()).toEqual({ kind: "done" });
  expect(steps).toEqual(["publish mail.deferred", "later 2 in 60 s"]);
});

test("an old entry that comes back after a later attempt schedules nothing", async () => {
  outcomes = [deferred, deferred];
  await run();
  await run({ attempt: 2 });
  steps = [];
  expect(await run()).toEqual({ kind: "done" });
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
  failing = ["later"];
  expect(await run()).toEqual({ kind: "done" });
  expect(steps.at(-1)).toBe("later 2 in 60 s");
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
  await handler(entry, { ...arrival, storedAtMs: nowMs - 1_000 });
  expect(asked).toBe(0);
  marks.clear();
  await handler(entry, arrival);
  await handler({ ...entry, attempt: 2 }, { ...arrival, storedAtMs: nowMs - 1_000 });
  marks.clear();
  await handler({ ...entry, scheduledAt: nowMs }, { ...arrival, storedAtMs: nowMs - 1_000 });
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

test("a busy site costs no attempt: the entry comes back in a while", async () => {
  outcomes = [{ kind: "busy" }];
  expect(await run()).toMatchObject({ kind: "retry", afterMs: 7_500 });
  expect(steps).toEqual(["attempt"]);
});

test("what may not be sent yet waits as a schedule, with the same attempt and nothing settled", async () => {
  outcomes = [{ kind: "wait", untilMs: nowMs + 900_000, why: "day 1 of 30, 50 of 50 used" }];
  expect(await run()).toEqual({ kind: "done" });
  expect(steps).toEqual(["attempt", "later 1 in 930 s"]);
  outcomes = [{ kind: "wait", untilMs: nowMs + 900_000, why: "day 1 of 30, 50 of 50 used" }, delivered];
  const { atOnce, fromQueue } = createDeliveries(ports());
  expect(await atOnce(entry)).toBe("queue");
  expect(await fromQueue(entry, arrival)).toEqual({ kind: "done" });
});

test("a stop before the message went out gives the entry back", async () => {
  outcomes = [{ kind: "interrupted" }];
  expect(await run()).toMatchObject({ kind: "retry", afterMs: 0 });
  expect(steps).toEqual(["attempt"]);
});

test("the same delivery is never in hand twice", async () => {
  const waiting = Promise.withResolvers<AttemptMark | undefined>();
  const { fromQueue: handler } = createDeliveries({ ...ports(), markOf: () => waiting.promise });
  const first = handler(entry, arrival);
  expect(await handler(entry, { ...arrival, times: 2 })).toMatchObject({ kind: "retry" });
  waiting.resolve(undefined);
  expect(await first).toEqual({ kind: "done" });
  expect(steps.filter((name) => name === "attempt")).toHaveLength(1);
});

test("a session lost after the final dot is tried again and counted as in doubt", async () => {
  outcomes = [inDoubt];
  await run();
  expect(steps).toEqual(["attempt", "mark 1", "publish mail.deferred", "later 2 in 60 s"]);
  expect(marks.get(entry.deliveryId)?.event.payload).toMatchObject({
    explanation: expect.stringContaining("may have arrived"),
  });
  expect(await registry.getSingleMetricAsString("tyto_mta_in_doubt_total")).toMatch(
    /^tyto_mta_in_doubt_total 1$/m,
  );
});
