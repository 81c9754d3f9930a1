/** Shares over a real nats-server, with the rights of the mta's user. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import type { Bus } from "@tyto/bus";
import { startNats, type TestNats } from "@tyto/bus/testing";
import { until } from "../../../../test/parts/until.ts";
import { createElapsed } from "./elapsed.ts";
import { processName } from "./name.ts";
import { type Shares, shareKey } from "./shares.ts";
import { openShares } from "./testing.ts";

const site = shareKey("192.0.2.1", "mx.example.com");
const limit = { connectionsMax: 10, perMinute: 600 };

let nats: TestNats;
let running: { shares: Shares; bus: Bus }[] = [];
beforeAll(async () => {
  nats = await startNats({ users: true });
});
afterEach(async () => {
  for (const { shares, bus } of running) {
    await shares.stop();
    await bus.drain();
  }
  running = [];
  await nats.clear();
});
afterAll(() => nats.stop());

async function start(name: string, inUse: (key: string) => number = () => 0): Promise<Shares> {
  const bus = await nats.connect("mta");
  const shares = await openShares(bus, name, inUse);
  running.push({ shares, bus });
  return shares;
}
const connections = (shares: Shares) => shares.shareOf(site, limit).connectionsMax;

test("who is alone has everything at once, and writes no record", async () => {
  const one = await start("one");
  await until("it is alone", () => one.status().mode === "alone");
  one.shareOf(site, limit);
  one.demand(site, 100);
  expect(one.shareOf(site, limit)).toEqual(limit);
  expect(one.statusOf(site)?.claims).toEqual({});
});

test("a second process gets its part as soon as the first has closed what is above its own", async () => {
  let open = 10;
  const one = await start("one", () => open);
  await until("it is alone", () => connections(one) === 10);
  one.demand(site, 100);
  const two = await start("two");
  expect(connections(two)).toBe(0);
  two.demand(site, 100);
  await until("the first one knows of it", () => connections(one) === 5);
  // Nothing was closed yet: nobody else has a connection.
  expect(connections(two)).toBe(0);
  open = 7;
  await until("what was closed is the second one's", () => connections(two) === 3);
  open = 5;
  await until("half is the second one's", () => connections(two) === 5);
  open = 0;
  expect(one.shareOf(site, limit).perMinute + two.shareOf(site, limit).perMinute).toBeGreaterThan(570);
});

test("a site that is new to all is shared within a moment", async () => {
  const [one, two] = [await start("one"), await start("two")];
  await until("they know each other", () => [one, two].every((shares) => shares.status().mode === "shared"));
  const changed: (string | undefined)[] = [];
  one.onChange((key) => changed.push(key));
  const tookMs: number[] = [];
  for (const name of ["mx1.example.net", "mx2.example.net", "mx3.example.net", "mx4.example.net"]) {
    const key = shareKey("192.0.2.1", name);
    const part = () => one.shareOf(key, limit).connectionsMax;
    expect(part()).toBe(0);
    one.demand(key, 3);
    const startedMs = performance.now();
    await until("the claim is there", () => part() > 0, { everyMs: 1 });
    tookMs.push(performance.now() - startedMs);
    expect(changed).toContain(key);
  }
  // One after the other they would wait for four beats, 2 s apart. A busy machine may be slow once.
  expect(Math.min(...tookMs)).toBeLessThan(1_000);
});

test("who says farewell leaves everything to the others", async () => {
  const [one, two] = [await start("one"), await start("two")];
  await until("they share", () => {
    for (const shares of [one, two]) {
      connections(shares);
      shares.demand(site, 100);
    }
    return connections(one) === 5 && connections(two) === 5;
  });
  const leaving = running.pop();
  await leaving?.shares.stop();
  await leaving?.bus.drain();
  await until("all is the other one's", () => connections(one) === 10);
  expect(one.status().mode).toBe("alone");
});

test("a restart of nats-server takes nobody's share", async () => {
  const [one, two] = [await start("one"), await start("two")];
  await until("they share", () => {
    for (const shares of [one, two]) {
      connections(shares);
      shares.demand(site, 100);
    }
    return connections(one) === 5 && connections(two) === 5;
  });
  const lives = [one.status().id, two.status().id];
  await nats.kill();
  expect(connections(one)).toBe(5);
  await nats.restart();
  await until(
    "beats come back",
    () => [one, two].every((shares) => (shares.status().silentMs ?? 9_999) < 500),
    {
      withinMs: 9_000,
    },
  );
  expect([connections(one), connections(two)]).toEqual([5, 5]);
  expect([one.status().id, two.status().id]).toEqual(lives);
}, 120_000);

test("time goes on while either clock does", () => {
  let [monotonic, wall] = [0, 1_000];
  const elapsed = createElapsed(
    () => monotonic,
    () => wall,
  );
  [monotonic, wall] = [10, 1_010];
  expect(elapsed()).toBe(10);
  // The machine slept: the monotonic clock stood still.
  [monotonic, wall] = [11, 9_010];
  expect(elapsed()).toBe(8_010);
  // The clock was set back.
  [monotonic, wall] = [21, 500];
  expect(elapsed()).toBe(8_020);
});

test("a process has the same name again only on the same boot, host and port", () => {
  const random = () => "0123456789abcdef";
  const name = processName(3102, { host: "mail-1", bootId: "a", random });
  expect(processName(3102, { host: "mail-1", bootId: "a", random })).toBe(name);
  for (const other of [
    processName(3103, { host: "mail-1", bootId: "a", random }),
    processName(3102, { host: "mail-2", bootId: "a", random }),
    processName(3102, { host: "mail-1", bootId: "b", random }),
  ])
    expect(other).not.toBe(name);
  expect(processName(0, { host: "mail-1", bootId: "a", random })).toBe("mta-0123456789abc");
});

test("limits that are learned need not be whole numbers, and what is not limited stays so", async () => {
  const [one, two] = [await start("one"), await start("two")];
  const learned = { connectionsMax: 3.7, perMinute: Number.POSITIVE_INFINITY };
  await until("they share three", () => {
    const parts = [one, two].map((shares) => {
      const share = shares.shareOf(site, learned);
      shares.demand(site, 10);
      return share;
    });
    return (
      parts.reduce((sum, { connectionsMax }) => sum + connectionsMax, 0) === 3 &&
      parts.every(({ perMinute }) => perMinute === Number.POSITIVE_INFINITY)
    );
  });
});
