import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { join } from "node:path";
import { Failure } from "@tyto/contracts";
import type { NatsConnection } from "nats";
import { until } from "../../../test/parts/until.ts";
import { sampleEvent } from "../test/samples.ts";
import { type Arrival, type Bus, done, reject, retry } from "./bus.ts";
import { afterThrow } from "./judging.ts";
import { encode } from "./requests.ts";
import { plainClient, startNats, type TestNats } from "./testing.ts";

let nats: TestNats;
let bus: Bus;
let client: NatsConnection;

beforeAll(async () => {
  nats = await startNats();
  client = await plainClient(nats.login("admin"));
});
beforeEach(async () => {
  bus = await nats.connect("scanner");
});
afterEach(async () => {
  await bus.drain();
  await nats.clear();
});
afterAll(async () => {
  await client.drain();
  await nats.stop();
});

const scannerInfo = async () => (await client.jetstreamManager()).consumers.info("EVENTS", "scanner");
/** By the stream's own end: what the durable says to be waiting lags behind what was stored. */
const isSettled = async () => {
  const { state } = await (await client.jetstreamManager()).streams.info("EVENTS");
  const { ack_floor, num_ack_pending } = await scannerInfo();
  return num_ack_pending === 0 && ack_floor.stream_seq >= state.last_seq;
};
/** Runs `work` while the server redelivers after `ackWaitMs`; else messages would come twice on a busy machine. */
async function withAckWait(ackWaitMs: number, work: () => Promise<void>): Promise<void> {
  const { consumers } = await client.jetstreamManager();
  const { ack_wait = 0 } = (await scannerInfo()).config;
  await consumers.update("EVENTS", "scanner", { ack_wait: ackWaitMs * 1e6 });
  try {
    await work();
  } finally {
    await consumers.update("EVENTS", "scanner", { ack_wait });
  }
}
const deadLetter = async () => {
  const manager = await client.jetstreamManager();
  return until("a dead letter is there", () =>
    manager.streams.getMessage("DEAD", { last_by_subj: "dead.EVENTS.scanner" }).catch(() => undefined),
  );
};

test("a message that was handled is acknowledged and does not come again", async () => {
  const seen: [string, Arrival][] = [];
  await bus.consume("scanner", {
    async "mail.submitted"(payload, arrival) {
      seen.push([payload.id, arrival]);
      return done;
    },
  });
  await bus.publish("mail.submitted", sampleEvent("mail.submitted", "a"));
  await until("it is settled", isSettled);
  expect(seen).toEqual([["a", { times: 1, sequence: expect.any(Number), storedAtMs: expect.any(Number) }]]);
  expect(Math.abs((seen[0]?.[1].storedAtMs ?? 0) - Date.now())).toBeLessThan(10_000);
});

test("retry brings the message again after the wait, and not before", async () => {
  const times: [number, number][] = [];
  await bus.consume("scanner", {
    async "mail.submitted"(_, arrival) {
      times.push([arrival.times, performance.now()]);
      return arrival.times < 3 ? retry(150, "not yet") : done;
    },
  });
  await bus.publish("mail.submitted", sampleEvent("mail.submitted"));
  await until("it is settled", isSettled);
  expect(times.map(([count]) => count)).toEqual([1, 2, 3]);
  expect((times[2]?.[1] ?? 0) - (times[0]?.[1] ?? 0)).toBeGreaterThan(290);
});

test("what is rejected lies in DEAD with the reason and where it came from", async () => {
  await bus.consume("scanner", { "mail.submitted": async () => reject("line one\r\nline two") });
  const payload = sampleEvent("mail.submitted");
  await bus.publish("mail.submitted", payload);
  const letter = await deadLetter();
  expect(letter.header.get("Tyto-Reason")).toBe("line one line two");
  expect(letter.header.get("Tyto-Subject")).toBe("mail.submitted");
  expect(Number(letter.header.get("Tyto-Sequence"))).toBeGreaterThan(0);
  expect(letter.json<typeof payload>()).toEqual(payload);
  await until("it is settled", isSettled);
});

test("a payload that breaks its contract never reaches a handler, and holds up nobody", async () => {
  const seen: string[] = [];
  await bus.consume("scanner", {
    async "mail.submitted"(payload) {
      seen.push(payload.id);
      return done;
    },
  });
  const stream = client.jetstream();
  await stream.publish("mail.submitted", encode({ ...sampleEvent("mail.submitted"), from: "nobody" }));
  await stream.publish("mail.submitted", new Uint8Array([0xff, 0xfe]));
  await bus.publish("mail.submitted", sampleEvent("mail.submitted", "good"));
  await until("all are settled", isSettled);
  expect(seen).toEqual(["good"]);
  const manager = await client.jetstreamManager();
  const { first_seq } = (await manager.streams.info("DEAD")).state;
  const reasons = await Promise.all(
    [first_seq, first_seq + 1].map(async (seq) =>
      (await manager.streams.getMessage("DEAD", { seq })).header.get("Tyto-Reason"),
    ),
  );
  expect(reasons.toSorted()).toEqual([
    expect.stringContaining("from: must look like name@example.com"),
    expect.stringContaining("not JSON"),
  ]);
});

test("a durable without a handler for each of its subjects is refused", async () => {
  await expect(bus.consume("mta-intake", { "mail.accepted": async () => done })).rejects.toThrow(
    "no handler for mail.scanned",
  );
  await expect(bus.consume("unknown", {})).rejects.toThrow("no contract declares");
});

test("a handler that throws gets its message again", async () => {
  let calls = 0;
  await bus.consume("scanner", {
    async "mail.submitted"() {
      if (++calls === 1) throw new Error("a bug");
      return done;
    },
  });
  await bus.publish("mail.submitted", sampleEvent("mail.submitted"));
  await until("it is settled", isSettled);
  expect(calls).toBe(2);
});

test("a handler that throws for one message all the time loses it to DEAD in the end", () => {
  const bug = new Error("a bug");
  expect(afterThrow(bug, { times: 1, throws: 1 })).toMatchObject({ kind: "retry", afterMs: 500 });
  expect(afterThrow(bug, { times: 15, throws: 15 })).toMatchObject({ kind: "retry", afterMs: 60_000 });
  expect(afterThrow(bug, { times: 16, throws: 16 })).toEqual(reject("the handler threw 16 times: a bug"));
});

test("a message is not given up because something else is down", () => {
  const down = new Failure("upstream.down", "Convex does not answer");
  expect(afterThrow(down, { times: 500, throws: 500 })).toMatchObject({ kind: "retry", afterMs: 15_000 });
});

test("no more handlers run at a time than asked for", async () => {
  let running = 0;
  let most = 0;
  let handled = 0;
  const full = Promise.withResolvers<void>();
  await bus.consume(
    "scanner",
    {
      async "mail.submitted"() {
        most = Math.max(most, ++running);
        if (running === 3) full.resolve();
        await full.promise;
        await Bun.sleep(3);
        running--;
        handled++;
        return done;
      },
    },
    { concurrency: 3 },
  );
  await Promise.all(
    Array.from({ length: 40 }, () => bus.publish("mail.submitted", sampleEvent("mail.submitted"))),
  );
  await until("all are handled", () => handled === 40);
  expect(most).toBe(3);
});

test("a large event takes the places of several", async () => {
  const running = new Set<string>();
  let most = 0;
  let handled = 0;
  const several = Promise.withResolvers<void>();
  await bus.consume(
    "scanner",
    {
      async "mail.submitted"({ id }) {
        running.add(id);
        most = Math.max(most, running.size);
        if (running.size > 1) several.resolve();
        await several.promise;
        await Bun.sleep(3);
        running.delete(id);
        handled++;
        return done;
      },
    },
    { concurrency: 12, bytesMax: 24_000 },
  );
  const metadata = Object.fromEntries(
    Array.from({ length: 16 }, (_, index) => [`k${index}`, "x".repeat(500)]),
  );
  // Each has more than 8,000 bytes: five places of 2,000, and two of them ten of the twelve.
  const large = Array.from({ length: 20 }, () => ({ ...sampleEvent("mail.submitted"), metadata }));
  await Promise.all(large.map((payload) => bus.publish("mail.submitted", payload)));
  await until("all are handled", () => handled === 20);
  // The last one may begin when two places are left.
  expect(most).toBeGreaterThan(1);
  expect(most).toBeLessThanOrEqual(3);
});

test("a message that is delivered again while it is handled is not handled twice", async () => {
  let calls = 0;
  const finish = Promise.withResolvers<void>();
  await bus.consume("scanner", {
    async "mail.submitted"() {
      calls++;
      await finish.promise;
      return done;
    },
  });
  // The bus's heartbeat follows the contract's 60 s.
  await withAckWait(400, async () => {
    await bus.publish("mail.submitted", sampleEvent("mail.submitted"));
    await until("it was delivered again", async () => (await scannerInfo()).num_redelivered > 0);
  });
  finish.resolve();
  await until("it is settled", isSettled);
  expect(calls).toBe(1);
});

test("a message whose process was killed goes to another", async () => {
  const killed = Bun.spawn(
    [process.execPath, join(import.meta.dir, "../test/hanging-consumer.ts"), nats.url],
    {
      stdout: "pipe",
      stderr: "inherit",
    },
  );
  const seen: [string, number][] = [];
  await withAckWait(400, async () => {
    await bus.publish("mail.submitted", sampleEvent("mail.submitted", "survivor"));
    const { value } = await killed.stdout.getReader().read();
    expect(new TextDecoder().decode(value)).toBe("survivor\n");
    killed.kill("SIGKILL");
    await killed.exited;

    await bus.consume("scanner", {
      async "mail.submitted"(payload, { times }) {
        seen.push([payload.id, times]);
        return done;
      },
    });
    await until("it is settled", isSettled);
  });
  expect(seen).toEqual([["survivor", expect.any(Number)]]);
  expect(seen[0]?.[1]).toBeGreaterThan(1);
});

test("an acknowledgement that falls into a disconnect is made up for after it", async () => {
  let calls = 0;
  const finish = Promise.withResolvers<void>();
  await bus.consume("scanner", {
    async "mail.submitted"() {
      calls++;
      await finish.promise;
      return done;
    },
  });
  await bus.publish("mail.submitted", sampleEvent("mail.submitted"));
  await until("it is in hand", () => calls === 1);
  await client.drain();
  await nats.kill();
  await until("the bus knows", () => !bus.isConnected());
  finish.resolve();
  await nats.restart();
  client = await plainClient(nats.login("admin"));
  await until("it is settled", isSettled);
  expect(calls).toBe(1);
});
