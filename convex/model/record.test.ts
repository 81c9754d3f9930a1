import { describe, expect, test } from "bun:test";
import { type Reason, reasons, type StoredEvent, suppressionKey, unknownRecipient } from "@tyto/contracts";
import { rounds } from "../../test/parts/rounds.ts";
import { api, internal } from "../_generated/api";
import {
  address,
  asGateway,
  asUser,
  lateBounce,
  messageId,
  noon,
  permutations,
  sample,
  startConvex,
  type TestDeployment,
} from "../samples.testing.ts";
import { suppressionKey as keyInConvex } from "./suppressions.ts";

const apply = (t: TestDeployment, events: readonly StoredEvent[]) =>
  t.mutation(internal.record.apply, { events: JSON.stringify(events) });

/** Everything that events left behind, without what names the run: ids and times of insertion, shards. */
async function trace(t: TestDeployment) {
  return await t.run(async (ctx) => {
    const bare = <T extends object>(rows: T[]) =>
      rows
        .map((row) => Object.fromEntries(Object.entries(row).filter(([name]) => !name.startsWith("_"))))
        .sort((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1));
    const counters = await ctx.db.query("counters").collect();
    const minutes = counters.filter(({ period }) => period === "minute");
    const sum = (name: "accepted" | "delivered" | "bounced" | "deferred") =>
      minutes.reduce((total, row) => total + row[name], 0);
    const messages = await ctx.db.query("messages").collect();
    return {
      // Which of the events came first is all that the order of arrival may leave; they stand below.
      messages: bare(messages.map(({ events: _events, ...message }) => message)),
      tags: bare(await ctx.db.query("messageTags").collect()),
      deliveries: bare(await ctx.db.query("deliveries").collect()),
      timeline: bare([
        ...(await ctx.db.query("timeline").collect()),
        ...messages.flatMap(({ messageId, events = [] }) =>
          events.map(({ eventId, at, line }) => ({ eventId, messageId, at, ...JSON.parse(line) })),
        ),
      ]),
      suppressions: bare(await ctx.db.query("suppressions").collect()),
      inbound: bare(await ctx.db.query("inbound").collect()),
      failures: bare(await ctx.db.query("failures").collect()),
      replies: bare(await ctx.db.query("replies").collect()),
      breakdown: sums(await ctx.db.query("breakdowns").collect()),
      totals: (await ctx.db.query("totals").collect()).reduce((sum, { count }) => sum + count, 0),
      counts: [sum("accepted"), sum("delivered"), sum("bounced"), sum("deferred")],
    };
  });
}

/** The members of one row may stand in another order than those of the next. */
const orderOf = (row: Record<string, unknown>) => JSON.stringify([row.eventId, Object.entries(row).sort()]);

/** Cells of all hours, added up over shards. */
function sums(rows: { period: string; at: number; cells: { count: number }[] }[]) {
  const totals = new Map<string, number>();
  for (const { period, at, cells } of rows)
    for (const { count, ...cell } of cells) {
      const key = JSON.stringify([period, at, Object.entries(cell).sort()]);
      totals.set(key, (totals.get(key) ?? 0) + count);
    }
  return [...totals].sort();
}

/** A tenth of the orders; all of them in the thorough run. */
const someOf = <T>(orders: T[]): T[] => orders.filter((_, index) => index % rounds(10, 1) === 0);

/** How the same events may reach Convex: all at once, one by one, twice, or overlapping. */
const ways: [string, (events: StoredEvent[]) => StoredEvent[][]][] = [
  ["one by one", (events) => events.map((event) => [event])],
  ["in one batch with repeats", (events) => [[...events, ...events]]],
  ["one by one, the whole twice", (events) => [...events, ...events].map((event) => [event])],
  ["in one batch", (events) => [events]],
  ["in two batches that overlap", (events) => [events.slice(0, 2), events.slice(1)]],
];

/** About one delivery, the weakest first. */
const reportsOfOne = [
  lateBounce({
    ...{ id: "soft.sure.dsn", at: noon + 910_000, reason: "mailbox.full", hard: false, confidence: 0.95 },
    reply: { code: 552, enhanced: "5.2.2", text: "Mailbox full" },
  }),
  lateBounce({
    ...{ id: "hard.guess.dsn", at: noon + 990_000, confidence: 0.5, remoteMta: "mx.elsewhere.example" },
    ...{ reply: undefined, explanation: "we have nobody of that name" },
  }),
  lateBounce({ id: "hard.sure.dsn" }),
] as const;

const histories: Record<string, { events: StoredEvent[]; status: string }> = {
  "a delivery after a deferral": {
    events: [sample("mail.accepted"), sample("mail.deferred"), sample("mail.delivered")],
    status: "delivered",
  },
  "a bounce by DSN after the delivery": {
    events: [sample("mail.accepted"), sample("mail.deferred"), sample("mail.delivered"), lateBounce()],
    status: "bounced",
  },
  "a scan that waited": {
    events: [sample("mail.submitted"), sample("mail.held"), sample("mail.scanned"), sample("mail.delivered")],
    status: "delivered",
  },
  "a virus": {
    events: [sample("mail.submitted"), sample("mail.held"), sample("mail.refused")],
    status: "refused",
  },
  "a cancellation": {
    events: [sample("mail.accepted", { scheduledAt: noon + 3_600_000 }), sample("mail.cancelled")],
    status: "cancelled",
  },
  "two recipients with different ends": {
    events: [
      sample("mail.accepted", {
        recipients: [
          { address: address(0), role: "to" },
          { address: address(1), role: "bcc" },
        ],
      }),
      sample("mail.delivered"),
      sample("mail.bounced", {}, 1),
      sample("mail.reported"),
    ],
    status: "partial",
  },
  "two reports about one address": {
    events: [
      sample("mail.bounced"),
      lateBounce({ at: noon + 10 }),
      lateBounce({ id: "later.dsn", at: noon + 20 }),
    ],
    status: "bounced",
  },
  "a report that names where an alias led, and one that names nobody": {
    events: [
      sample("mail.delivered"),
      lateBounce({ recipient: "alias@elsewhere.example" }),
      lateBounce({
        id: "nobody.dsn",
        recipient: unknownRecipient,
        at: noon + 10,
        reason: "mailbox.disabled",
      }),
      sample("mail.accepted"),
    ],
    status: "bounced",
  },
  "a guess, a sure report and a soft one about one delivery": {
    events: [sample("mail.accepted"), ...reportsOfOne],
    status: "bounced",
  },
  "a delay, then a failure": {
    events: [sample("mail.accepted"), sample("mail.delivered"), sample("mail.reported"), lateBounce()],
    status: "bounced",
  },
  "a refusal of mail that was taken before, and a soft report of what was taken": {
    events: [sample("mail.bounced"), sample("mail.delivered"), reportsOfOne[0], sample("mail.accepted")],
    status: "bounced",
  },
  "a guess and a complaint of one recipient, and a bounce of another": {
    events: [
      reportsOfOne[1],
      sample("mail.complained"),
      lateBounce({}, 1),
      sample("mail.accepted", {
        recipients: [0, 1].map((index) => ({ address: address(index), role: "to" })),
      }),
    ],
    status: "bounced",
  },
  "a complaint and an answer after the delivery": {
    events: [
      sample("mail.accepted"),
      sample("mail.delivered"),
      sample("mail.complained"),
      sample("mail.replied"),
    ],
    status: "delivered",
  },
  "a complaint that names no delivery, and an unsubscription": {
    events: [
      sample("mail.accepted"),
      sample("mail.complained", { deliveryId: undefined }),
      sample("mail.unsubscribed", { at: noon + 1_000 }),
    ],
    status: "accepted",
  },
  "a bounce and a complaint about one recipient": {
    events: [sample("mail.bounced"), sample("mail.complained"), sample("mail.unsubscribed")],
    status: "bounced",
  },
  "outcomes alone, the details lost": {
    events: [sample("mail.deferred"), sample("mail.delivered"), sample("mail.reported")],
    status: "delivered",
  },
};

describe("events give the same rows in every order", () => {
  for (const [first, [name, { events, status }]] of Object.entries(histories).entries())
    test(name, async () => {
      const reference = startConvex();
      await apply(reference, events);
      const expected = await trace(reference);
      expect(expected.messages).toMatchObject([{ messageId, status }]);
      expect(expected.timeline).toHaveLength(events.length);
      // The ways take turns, so that each way meets many orders; every order once in the thorough run.
      const orders = someOf(permutations(events));
      for (const [turn, order] of orders.entries()) {
        const [way, batches] = ways[(first + turn) % ways.length] ?? ["in one batch", (events) => [events]];
        const t = startConvex();
        let applied = 0;
        for (const batch of batches(order)) applied += (await apply(t, batch)).applied;
        expect({ way, applied, ...(await trace(t)) }).toEqual({ way, applied: events.length, ...expected });
      }
    }, 120_000);
});

test("a repeat is counted and changes nothing", async () => {
  const t = startConvex();
  const events = [sample("mail.accepted"), sample("mail.delivered"), sample("mail.received")];
  expect(await apply(t, events)).toEqual({ applied: 3, repeated: 0 });
  const before = await trace(t);
  expect(await apply(t, events)).toEqual({ applied: 0, repeated: 3 });
  expect(await trace(t)).toEqual(before);
});

describe("a delivery bounces once, as the best founded of its reports says, in every order", () => {
  /** What the lists, the counts and the message itself say about bounces. */
  const told = async (t: TestDeployment) => {
    const user = await asUser(t);
    const chart = { sinceMs: noon, by: "reason" as const };
    const { total, hard, groups } = await user.query(api.bounces.overTime, chart);
    const list = await user.query(api.bounces.list, { paginationOpts: { numItems: 9, cursor: null } });
    const { buckets, totals } = await user.query(api.counters.throughput, {
      ...{ sinceMs: noon, bucketMs: 60_000 },
    });
    const found = await asGateway(t).query(api.service.getMessage, { messageId });
    return {
      breakdown: { total, hard, groups: groups.map(({ key }) => key) },
      list: list.page.map(({ reason, hard, evidence }) => [reason, hard, evidence]),
      bounced: [totals.bounced, ...buckets.map(({ at, bounced }) => [at, bounced])],
      delivery: found?.deliveries.map(({ status, reason, reply }) => [status, reason, reply]),
      timeline: found?.timeline.map(({ eventId }) => eventId),
      suppressed: (await t.run((ctx) => ctx.db.query("suppressions").collect())).map(({ since }) => since),
    };
  };
  const start = () => startConvex({ now: () => noon + 3_600_000 });
  const [soft, guess, sure] = reportsOfOne;
  const minute = (at: number) => at - (at % 60_000);
  const cases = {
    "soft, then hard": { events: [soft, sure], counts: sure, evidence: "550 5.1.1 User unknown" },
    "a guess, then sure": { events: [guess, sure], counts: sure, evidence: "550 5.1.1 User unknown" },
    "soft, then a guess": { events: [soft, guess], counts: guess, evidence: "we have nobody of that name" },
    "all three": { events: [soft, guess, sure], counts: sure, evidence: "550 5.1.1 User unknown" },
    "a refusal, then soft": {
      events: [sample("mail.bounced"), soft],
      counts: sample("mail.bounced"),
      evidence: "550 5.1.1 User unknown",
    },
  };
  for (const [name, { events, counts, evidence }] of Object.entries(cases))
    test(name, async () => {
      const { at, reason, hard, confidence } = counts.payload;
      for (const order of someOf(permutations([sample("mail.accepted"), ...events]))) {
        const t = start();
        for (const event of order) await apply(t, [event]);
        for (const event of order.toReversed()) await apply(t, [event]);
        const { timeline, bounced, ...rest } = await told(t);
        expect(rest).toEqual({
          breakdown: { total: 1, hard: 1, groups: [reason] },
          list: [[reason, hard, evidence]],
          delivery: [["bounced", reason, evidence]],
          suppressed: confidence < 0.6 ? [] : [at],
        });
        expect(bounced).toEqual([1, [noon, 0], [minute(at), 1]]);
        expect(timeline?.toSorted()).toEqual(order.map(({ payload }) => payload.id).toSorted());
      }
    });
});

test("a second report of a bounce counts nothing, and puts nobody back on the list that a person took off it", async () => {
  const t = startConvex();
  await apply(t, [sample("mail.accepted"), sample("mail.delivered"), lateBounce({ rawId: "raw1" })]);
  expect(await asGateway(t).mutation(api.service.removeSuppression, { address: address() })).toBe(true);
  const before = await trace(t);
  expect(before).toMatchObject({ counts: [1, 1, 1, 0], suppressions: [] });
  const second = lateBounce({ at: noon + 3_600_000, rawId: "raw2" });
  expect(await apply(t, [second])).toEqual({ applied: 0, repeated: 1 });
  expect(await trace(t)).toEqual(before);
  // What else is told of the delivery still counts.
  await apply(t, [sample("mail.complained")]);
  expect((await trace(t)).failures.map(({ kind }) => kind).toSorted()).toEqual(["bounce", "complaint"]);
});

describe("a bounce suppresses only what is hard and the recipient's own fault", () => {
  const suppressing: Reason[] = [
    "mailbox.unknown",
    "mailbox.moved",
    "domain.unknown",
    "domain.takes-no-mail",
  ];
  for (const reason of Object.keys(reasons) as Reason[]) {
    const isSuppressed = suppressing.includes(reason);
    test(`${reason}: ${isSuppressed ? "suppressed" : "not suppressed"}`, async () => {
      const { fault, hard } = reasons[reason];
      const t = startConvex();
      await apply(t, [sample("mail.bounced", { reason, fault, hard })]);
      const rows = await t.run((ctx) => ctx.db.query("suppressions").collect());
      const changes = await t.run((ctx) => ctx.db.query("changes").collect());
      if (!isSuppressed) return expect([rows, changes]).toEqual([[], []]);
      expect(rows).toMatchObject([
        { address: address(), cause: "bounce", since: noon + 302_000, evidence: "550 5.1.1 User unknown" },
      ]);
      return expect(changes).toMatchObject([
        {
          sequence: 1,
          bucket: "SUPPRESSIONS",
          key: suppressionKey(address()),
          value: JSON.stringify({ address: address(), cause: "bounce", since: noon + 302_000 }),
        },
      ]);
    });
  }

  test("what was only read from a report's words for people suppresses nobody", async () => {
    const t = startConvex();
    await apply(t, [sample("mail.bounced", { reason: "mailbox.unknown", hard: true, confidence: 0.5 })]);
    expect(await t.run((ctx) => ctx.db.query("suppressions").collect())).toEqual([]);
  });
});

test("a report suppresses the address that we sent to, not the one that it names", async () => {
  const t = startConvex();
  const suppressed = async () =>
    (await t.run((ctx) => ctx.db.query("suppressions").collect())).map(({ address }) => address);
  const alias = lateBounce({ recipient: "alias@elsewhere.example" });
  await apply(t, [alias]);
  expect(await suppressed()).toEqual([]);
  await apply(t, [sample("mail.accepted")]);
  expect(await suppressed()).toEqual([address()]);
  const found = await asGateway(t).query(api.service.getMessage, { messageId });
  expect(found?.deliveries).toMatchObject([{ address: address(), status: "bounced" }]);
  expect(found?.timeline[1]).toMatchObject({
    recipient: address(),
    detail: { reportedRecipient: "alias@elsewhere.example" },
  });
});

test("the key of a suppression is that of the contracts", async () => {
  for (const address of ["a@example.com", "Ann.O'Neil@Example.COM", "jürgen@müller.example"])
    expect(await keyInConvex(address)).toBe(suppressionKey(address));
});

test("the first keys of a domain stay, later ones are ignored, and the log tells of the first only", async () => {
  const t = startConvex();
  const keyed = sample("domain.keyed");
  expect(await apply(t, [keyed])).toEqual({ applied: 0, repeated: 1 });
  await t.run((ctx) =>
    ctx.db.insert("domains", {
      domain: "example.com",
      organizationId: "default",
      returnPathHost: "bounces.example.com",
      state: "preparing",
      createdAt: noon,
      records: [],
      keys: [],
    }),
  );
  const other = sample("domain.keyed", {
    id: "other.keyed",
    keys: [{ selector: "x", algorithm: "rsa-sha256", publicKey: "WA==", sealedPrivateKey: "sealed x" }],
  });
  expect(await apply(t, [keyed, other, keyed])).toEqual({ applied: 1, repeated: 2 });
  const [domain] = await t.run((ctx) => ctx.db.query("domains").collect());
  expect(domain).toMatchObject({ state: "pending", keys: keyed.payload.keys });
  const changes = await t.run((ctx) => ctx.db.query("changes").collect());
  expect(changes.map(({ value }) => JSON.parse(value ?? "null").keys.length)).toEqual([2]);
});

test("a message keeps its recipients' roles when their outcomes came first", async () => {
  const t = startConvex();
  const recipients = [
    { address: address(0), role: "to" },
    { address: address(1), role: "cc" },
  ];
  await apply(t, [sample("mail.delivered", {}, 1)]);
  await apply(t, [sample("mail.accepted", { recipients })]);
  const rows = await t.run((ctx) => ctx.db.query("deliveries").collect());
  expect(rows.map(({ address, role, state }) => [address, role, state?.outcome]).sort()).toEqual([
    [address(0), "to", "waiting"],
    [address(1), "cc", "delivered"],
  ]);
});

test("a tag's rows carry the message's status as it changes", async () => {
  const t = startConvex();
  const statuses = async () =>
    (await t.run((ctx) => ctx.db.query("messageTags").collect())).map(
      ({ tag, status }) => `${tag} ${status}`,
    );
  await apply(t, [sample("mail.accepted", { tags: ["a", "b", "a"] })]);
  expect(await statuses()).toEqual(["a accepted", "b accepted"]);
  await apply(t, [sample("mail.delivered")]);
  expect(await statuses()).toEqual(["a delivered", "b delivered"]);
});

test("more events than a message's row holds are all on its timeline, each once", async () => {
  const t = startConvex();
  const deferrals = Array.from({ length: 6 }, (_, index) =>
    sample("mail.deferred", { id: `deferral${index}`, attempt: index + 1, at: noon + 1_000 * (index + 1) }),
  );
  const events = [
    sample("mail.accepted"),
    ...deferrals,
    sample("mail.delivered", { attempt: 7, at: noon + 9_000 }),
  ];
  for (const event of events) expect(await apply(t, [event])).toEqual({ applied: 1, repeated: 0 });
  for (const event of events) expect(await apply(t, [event])).toEqual({ applied: 0, repeated: 1 });
  const found = await asGateway(t).query(api.service.getMessage, { messageId });
  expect(found?.deliveries).toMatchObject([{ status: "delivered", attempts: 7 }]);
  expect(found?.timeline.map(({ eventId }) => eventId)).toEqual(events.map(({ payload }) => payload.id));
});

test("rows from before messages held their events go on as they were", async () => {
  const t = startConvex();
  const accepted = sample("mail.accepted");
  await apply(t, [accepted]);
  await t.run(async (ctx) => {
    const [message] = await ctx.db.query("messages").collect();
    const [delivery] = await ctx.db.query("deliveries").collect();
    if (message?.only === undefined || delivery === undefined) throw new Error("not applied");
    await ctx.db.patch(delivery._id, { state: message.only.state });
    await ctx.db.patch(message._id, { events: undefined, only: undefined });
    const { id: eventId, at } = accepted.payload;
    await ctx.db.insert("timeline", { eventId, messageId, at, subject: accepted.subject, detail: {} });
  });
  expect(await apply(t, [accepted, sample("mail.delivered")])).toEqual({ applied: 1, repeated: 1 });
  expect(await apply(t, [accepted, sample("mail.delivered")])).toEqual({ applied: 0, repeated: 2 });
  const found = await asGateway(t).query(api.service.getMessage, { messageId });
  expect(found?.deliveries).toMatchObject([{ address: address(), role: "to", status: "delivered" }]);
  expect(found?.timeline.map(({ subject }) => subject)).toEqual(["mail.accepted", "mail.delivered"]);
});
