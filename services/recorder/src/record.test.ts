import { afterAll, beforeEach, expect, test } from "bun:test";
import type { Arrival } from "@tyto/bus";
import type { StoredEvent } from "@tyto/contracts";
import { appliedEvents, sample } from "@tyto/convex/samples.testing.ts";
import { Registry, silentLog } from "@tyto/service";
import { createMetrics } from "./metrics.ts";
import { createPost } from "./post.ts";
import { createRecorder } from "./record.ts";
import { malformed, messages, startSite, type TestSite, webhookKey } from "./testing.ts";

const sites: TestSite[] = [];
let site: TestSite;
let now = Date.now();
let registry: Registry;
let recorder: ReturnType<typeof createRecorder>;

beforeEach(() => {
  site = startSite();
  sites.push(site);
  registry = new Registry();
  recorder = createRecorder({
    post: createPost(site.url, webhookKey, Date.now),
    metrics: createMetrics(registry, () => now),
    log: silentLog,
    now: () => now++,
    random: () => 0,
  });
});
afterAll(async () => {
  await Promise.all(sites.map((each) => each.stop()));
});

let sequence = 0;
const entry = (event: StoredEvent, more: Partial<Arrival> = {}) => ({
  event,
  arrival: { times: 1, sequence: ++sequence, storedAtMs: now - 5_000, ...more },
});
const kinds = async (entries: ReturnType<typeof entry>[]) =>
  (await recorder.record(entries)).map(({ kind }) => kind);
const timeline = () => appliedEvents(site.convex);

test("a batch is one signed request, and every event of it is done", async () => {
  expect(await kinds(messages(200).map((event) => entry(event)))).toEqual(Array(200).fill("done"));
  expect(site.batches).toEqual([200]);
  expect(await timeline()).toHaveLength(200);
});

test("an event that came before is done again and changes nothing", async () => {
  const events = messages(3);
  await kinds(events.map((event) => entry(event)));
  expect(await kinds(events.map((event) => entry(event, { times: 2 })))).toEqual(["done", "done", "done"]);
  expect(await timeline()).toHaveLength(3);
  expect(await registry.metrics()).toContain('tyto_recorder_events_total{result="repeated"} 3');
});

test("of a batch with malformed events those are rejected and all others are applied", async () => {
  const events = messages(20);
  events.splice(7, 0, malformed("bad1"));
  events.splice(13, 0, malformed("bad2"));
  const verdicts = await recorder.record(events.map((event) => entry(event)));
  expect(verdicts.flatMap(({ kind }, index) => (kind === "done" ? [] : [[index, kind]]))).toEqual([
    [7, "reject"],
    [13, "reject"],
  ]);
  expect(verdicts[7]).toMatchObject({ reason: expect.stringContaining("events[0].payload.at") });
  expect(await timeline()).toHaveLength(20);
  expect(recorder.problem()).toBeUndefined();
});

test("events with many recipients go in several requests, in their order", async () => {
  const recipients = Array.from({ length: 1_000 }, (_, i) => ({ address: `u${i}@example.net`, role: "to" }));
  const requests: number[] = [];
  site.interfere = (_path, body) => {
    requests.push((JSON.parse(body) as { events: unknown[] }).events.length);
    return Response.json({ applied: 0, repeated: 0 });
  };
  const events = Array.from({ length: 12 }, () => sample("mail.accepted", { recipients }));
  expect(await kinds(events.map((event) => entry(event)))).toEqual(events.map(() => "done"));
  expect(requests).toEqual([5, 5, 2]);
});

const away: [string, () => Response][] = [
  ["is restarting", () => new Response("bad gateway", { status: 502 })],
  ["is overloaded", () => new Response("too many", { status: 429 })],
  ["has no functions yet", () => new Response("No HttpAction routed for /events", { status: 404 })],
  ["does not accept our signature", () => new Response("{}", { status: 401 })],
  ["sends us elsewhere", () => new Response("", { status: 302, headers: { location: "/other" } })],
];
for (const [name, answer] of away)
  test(`while Convex ${name} events wait, however often they came, and readiness says so`, async () => {
    site.interfere = answer;
    const waiting = messages(3).map((event) => entry(event, { times: 500 }));
    const verdicts = await recorder.record(waiting);
    expect(verdicts.map(({ kind }) => kind)).toEqual(["retry", "retry", "retry"]);
    expect(recorder.problem()).toBeString();
    site.interfere = () => undefined;
    expect(await kinds(waiting)).toEqual(["done", "done", "done"]);
    expect(recorder.problem()).toBeUndefined();
  });

test("when nobody listens, events wait", async () => {
  await site.stop();
  expect(await kinds([entry(messages(1)[0] as StoredEvent)])).toEqual(["retry"]);
  expect(recorder.problem()).toBeString();
});

test("waits grow from a fraction of a second to at most half a minute", async () => {
  site.interfere = () => new Response("", { status: 503 });
  const waits: number[] = [];
  for (const times of [1, 2, 3, 4, 8, 20, 1_000]) {
    const [verdict] = await recorder.record([entry(messages(1)[0] as StoredEvent, { times })]);
    waits.push(verdict?.kind === "retry" ? verdict.afterMs : Number.NaN);
  }
  expect(waits[0]).toBeLessThan(500);
  expect(waits).toEqual(waits.toSorted((a, b) => a - b));
  expect(Math.max(...waits)).toBeLessThanOrEqual(30_000);
});

test("an event that Convex fails with again and again is rejected once others were applied meanwhile", async () => {
  const [poison, ...others] = messages(4);
  if (poison === undefined) throw new Error("no event");
  site.interfere = (path, body) =>
    path === "/events" && body.includes(poison.payload.id)
      ? new Response("Server Error", { status: 500 })
      : undefined;

  let left = [poison, ...others].map((event) => entry(event));
  const judged = new Map<string, string>();
  for (let times = 1; left.length > 0 && times < 50; times++) {
    const verdicts = await recorder.record(
      left.map((each) => ({ ...each, arrival: { ...each.arrival, times } })),
    );
    for (const [index, verdict] of verdicts.entries())
      judged.set(left[index]?.event.payload.id ?? "", verdict.kind);
    left = left.filter((_, index) => verdicts[index]?.kind === "retry");
    // Traffic goes on in another lane.
    if (times > 4) await kinds([entry(messages(1, 100 + times)[0] as StoredEvent)]);
  }
  expect(left).toEqual([]);
  expect(others.map(({ payload }) => judged.get(payload.id))).toEqual(["done", "done", "done"]);
  expect(judged.get(poison.payload.id)).toBe("reject");
});

test("as long as Convex fails with everything, nothing is rejected", async () => {
  site.interfere = () => new Response("Server Error", { status: 500 });
  const entries = messages(4).map((event) => entry(event));
  for (let times = 1; times < 60; times++) {
    const again = entries.map((each) => ({ ...each, arrival: { ...each.arrival, times } }));
    expect(await kinds(again)).toEqual(["retry", "retry", "retry", "retry"]);
  }
  site.interfere = () => undefined;
  expect(await kinds(entries)).toEqual(["done", "done", "done", "done"]);
});

test("lag is the age of the oldest event in hand, and nothing when none is", async () => {
  const read = async () =>
    Number(/^tyto_recorder_lag_seconds (\S+)/m.exec(await registry.metrics())?.[1] ?? Number.NaN);
  expect(await read()).toBe(0);
  let during = 0;
  site.interfere = () => new Response("", { status: 503 });
  const batch = recorder.record([entry(messages(1)[0] as StoredEvent)]);
  during = await read();
  await batch;
  expect(during).toBeGreaterThanOrEqual(5);
  expect(await read()).toBe(0);
});
