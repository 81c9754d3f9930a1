/**
 * Several processes in virtual time: a bus with delays and cuts, clocks that differ, deaths and pauses. What is asserted
 * at every step is what a remote server would see.
 */
import { describe, expect, test } from "bun:test";
import type { PeerRecord, ShareRecord } from "@tyto/contracts";
import { rounds } from "../../../../test/parts/rounds.ts";
import type { Limit } from "./claim.ts";
import { createMember, type Member } from "./member.ts";
import type { Write } from "./write.ts";

/** mulberry32: the same seed makes the same world. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

type Stored = { bucket: "beat" | "record"; key: string; value: unknown; revision: number };
type World = ReturnType<typeof createWorld>;

/** One ordered log as JetStream keeps it, and processes that write to it and read it with delays. */
function createWorld(seed: number) {
  const random = seeded(seed);
  let nowMs = 1_000_000;
  let serial = 0;
  const log: Stored[] = [];
  const last = new Map<string, number>();
  const events: { atMs: number; run: () => void }[] = [];
  const at = (ms: number, run: () => void) => {
    events.push({ atMs: nowMs + ms, run });
  };
  const delay = () => (random() < 0.02 ? random() * 1_500 : 1 + random() * 20);

  const store = ({ kind, key, value, revision }: Write) => {
    const place = `${kind} ${key}`;
    if ((last.get(place) ?? 0) !== revision) return undefined;
    log.push({ bucket: kind, key, value, revision: log.length + 1 });
    last.set(place, log.length);
    return log.length;
  };

  const processes: { open: Map<string, number>; usable(key: string): Limit }[] = [];
  const start = (name: string) => {
    const offsetMs = (random() - 0.5) * 4_000_000;
    const skewMs = (random() - 0.5) * 4_000;
    const drift = 1 + (random() - 0.5) * 2e-4;
    const clock = () => nowMs * drift + offsetMs;
    const open = new Map<string, number>();
    const limits = new Map<string, Limit>();
    const wants = new Map<string, number>();
    let read = 0;
    let [isDead, isCut, isPaused] = [false, false, false];
    const held: (() => void)[] = [];
    /** What happens to this process while it is paused or cut off happens later. */
    const reach = (run: () => void) => {
      if (isDead) return;
      if (isCut || isPaused) held.push(run);
      else run();
    };
    const member: Member = createMember({
      name,
      newId: () => `${name}.${++serial}`,
      inUse: (key) => open.get(key) ?? 0,
      onChange() {},
      onTrouble() {
        // Everything is read anew, in its order.
        read = 0;
      },
    });
    const perform = (write: Write) => {
      const answer = (revision: number | undefined | "unknown") =>
        reach(() =>
          member.written(
            write,
            revision === "unknown"
              ? { kind: "unknown" }
              : revision === undefined
                ? { kind: "lost" }
                : { kind: "stored", revision },
            clock(),
          ),
        );
      at(delay(), () => {
        if (isDead) return;
        if (isCut) {
          // The client tries for a while; it may get through, and the answer may be lost.
          const lateMs = random() * 10_000;
          at(lateMs, () => {
            if (isDead) return;
            if (!isCut) store(write);
            answer("unknown");
          });
          return;
        }
        const revision = store(write);
        at(delay(), () => answer(random() < 0.01 ? "unknown" : revision));
      });
    };
    const follow = () => {
      if (!isDead && !isCut && !isPaused)
        while (read < log.length) {
          const entry = log[read++];
          if (entry === undefined) break;
          // The bucket SHARES keeps only the last of each key; PEERS keeps all that is of interest.
          const isLast = last.get(`${entry.bucket} ${entry.key}`) === entry.revision;
          if (entry.bucket === "record" && !isLast) continue;
          if (entry.bucket === "beat")
            member.seeBeat(entry.key, entry.value as PeerRecord | undefined, entry.revision, clock());
          else member.seeRecord(entry.key, entry.value as ShareRecord | undefined, entry.revision);
        }
      if (!isDead) at(5 + delay(), follow);
    };
    const work = () => {
      if (isDead) return;
      if (!isPaused) {
        for (const [key, limit] of limits) {
          const share = member.shareOf(key, limit, clock());
          member.demand(key, wants.get(key) ?? 0);
          for (
            let count = open.get(key) ?? 0;
            count < share.connectionsMax && count < (wants.get(key) ?? 0);
            count++
          ) {
            open.set(key, count + 1);
            // A transaction ends by itself, though its process is paused or cut off: then late, but before others take over.
            const endsMs = random() < 0.05 ? random() * 8_000 : random() * 400;
            const close = () => void open.set(key, (open.get(key) ?? 1) - 1);
            at(endsMs, close);
          }
        }
        for (const write of member.writes(clock(), nowMs + skewMs)) perform(write);
      }
      at(30 + random() * 40, work);
    };
    at(0, follow);
    at(0, work);
    const process = {
      name,
      member,
      open,
      wants,
      limits,
      clock,
      isDead: () => isDead,
      usable: (key: string) =>
        isDead || isPaused
          ? { connectionsMax: 0, perMinute: 0 }
          : member.shareOf(key, limits.get(key) ?? { connectionsMax: 0, perMinute: 0 }, clock()),
      want(key: string, limit: Limit, wanted: number) {
        limits.set(key, limit);
        wants.set(key, wanted);
      },
      die() {
        isDead = true;
        open.clear();
      },
      cut(ms: number) {
        isCut = true;
        at(ms, () => {
          isCut = false;
          for (const run of held.splice(0)) reach(run);
        });
      },
      pause(ms: number) {
        isPaused = true;
        at(ms, () => {
          isPaused = false;
          for (const run of held.splice(0)) reach(run);
        });
      },
      leave() {
        isDead = true;
        const goodbye = member.leave();
        if (goodbye !== undefined) store(goodbye);
      },
    };
    processes.push(process);
    return process;
  };

  const run = (ms: number, check: () => void = () => {}) => {
    const untilMs = nowMs + ms;
    for (;;) {
      let next = -1;
      for (const [index, event] of events.entries())
        if (next === -1 || event.atMs < (events[next]?.atMs ?? 0)) next = index;
      const event = events[next];
      if (event === undefined || event.atMs > untilMs) break;
      events[next] = events.at(-1) ?? event;
      events.pop();
      nowMs = Math.max(nowMs, event.atMs);
      event.run();
      check();
    }
    nowMs = untilMs;
  };
  const inUse = (key: string) => processes.reduce((sum, { open }) => sum + (open.get(key) ?? 0), 0);
  const rate = (key: string) => processes.reduce((sum, process) => sum + process.usable(key).perMinute, 0);
  return { random, start, run, inUse, rate, now: () => nowMs, writes: () => log.length };
}

const site = "ip.site";
const limit: Limit = { connectionsMax: 20, perMinute: 600 };

/** At this moment no more than the limit is used, and no more is allowed. */
const within =
  (world: World, { connectionsMax, perMinute }: Limit) =>
  () => {
    if (world.inUse(site) > connectionsMax)
      throw new Error(`${world.inUse(site)} of ${connectionsMax} connections at ${world.now()}`);
    if (world.rate(site) > perMinute * 1.000001)
      throw new Error(`${world.rate(site)} of ${perMinute} a minute at ${world.now()}`);
  };

/** How much of the limit is allowed to somebody, on average over a minute. */
function utilisation(
  world: World,
  processes: readonly ReturnType<World["start"]>[],
  { connectionsMax, perMinute }: Limit,
) {
  let [connections, rates, samples] = [0, 0, 0];
  for (let second = 0; second < 60; second++) {
    world.run(1_000);
    for (const process of processes) {
      const usable = process.usable(site);
      // In use, or to be used by the next transaction.
      connections += Math.max(usable.connectionsMax, process.open.get(site) ?? 0);
      rates += usable.perMinute;
    }
    samples++;
  }
  return { connections: connections / samples / connectionsMax, rate: rates / samples / perMinute };
}

describe("a process that is alone", () => {
  test("has the full limits, and writes nothing but its beats", () => {
    const world = createWorld(1);
    const one = world.start("one");
    world.run(500);
    expect(one.member.mode()).toBe("alone");
    one.want(site, limit, 1_000);
    expect(one.usable(site)).toEqual(limit);
    world.run(10_000);
    expect(world.inUse(site)).toBeGreaterThan(0);
    expect(world.writes()).toBeLessThan(8);
  });

  test("uses nothing ten seconds after the bus is gone, and everything soon after it is back", () => {
    const world = createWorld(2);
    const one = world.start("one");
    one.want(site, limit, 1_000);
    world.run(5_000);
    one.cut(60_000);
    world.run(10_500);
    expect(one.usable(site)).toEqual({ connectionsMax: 0, perMinute: 0 });
    world.run(65_000);
    expect(one.usable(site)).toEqual(limit);
  });

  test("that takes the place of a killed one under its name does not wait", () => {
    const world = createWorld(3);
    const before = world.start("one");
    before.want(site, limit, 1_000);
    world.run(5_000);
    before.die();
    const after = world.start("one");
    after.want(site, limit, 1_000);
    world.run(2_500);
    expect(after.usable(site)).toEqual(limit);
  });
});

describe("several processes", () => {
  test("share equally what all of them want", () => {
    const world = createWorld(4);
    const three = ["one", "two", "three"].map(world.start);
    for (const process of three) process.want(site, limit, 1_000);
    world.run(12_000, within(world, limit));
    const parts = three.map((process) => process.usable(site).connectionsMax).toSorted();
    expect(parts).toEqual([6, 7, 7]);
    expect(three.reduce((sum, one) => sum + one.usable(site).perMinute, 0)).toBeGreaterThan(600 * 0.95);
  });

  test("leave to those who want much what others do not want", () => {
    const world = createWorld(5);
    const [few, many] = [world.start("few"), world.start("many")];
    few.want(site, limit, 2);
    many.want(site, limit, 1_000);
    world.run(12_000, within(world, limit));
    expect(many.usable(site).connectionsMax).toBe(18);
    expect(few.usable(site).connectionsMax).toBe(2);
  });

  test("have all of it again within 30 s of a death, and at once after a farewell", () => {
    for (const [how, waitMs] of [
      ["die", 30_000],
      ["leave", 6_000],
    ] as const) {
      const world = createWorld(6);
      const [stays, goes] = [world.start("stays"), world.start("goes")];
      for (const process of [stays, goes]) process.want(site, limit, 1_000);
      world.run(12_000, within(world, limit));
      expect(stays.usable(site).connectionsMax).toBe(10);
      goes.want(site, limit, how === "leave" ? 0 : 1_000);
      if (how === "leave") world.run(9_000, within(world, limit));
      goes[how]();
      world.run(waitMs, within(world, limit));
      expect(stays.usable(site)).toEqual(limit);
    }
  });

  test("take turns where there are fewer connections than processes", () => {
    const world = createWorld(7);
    const single = { connectionsMax: 1, perMinute: 60 };
    const two = ["one", "two"].map(world.start);
    for (const process of two) process.want(site, single, 100);
    const had = new Set<string>();
    for (let minute = 0; minute < rounds(6, 12); minute++) {
      world.run(60_000, within(world, single));
      for (const process of two) if (process.usable(site).connectionsMax === 1) had.add(process.name);
    }
    expect([...had].toSorted()).toEqual(["one", "two"]);
  });

  test("follow the strictest of their limits, since who met trouble knows better", () => {
    const world = createWorld(8);
    const [one, two] = [world.start("one"), world.start("two")];
    for (const process of [one, two]) process.want(site, limit, 1_000);
    world.run(12_000, within(world, limit));
    const strict = { connectionsMax: 4, perMinute: 60 };
    one.want(site, strict, 1_000);
    world.run(12_000);
    world.run(12_000, within(world, strict));
    expect(one.usable(site).connectionsMax + two.usable(site).connectionsMax).toBe(4);
  });

  test("with the same name by mistake do not use more than one would", () => {
    const world = createWorld(9);
    const [one, two] = [world.start("same"), world.start("same")];
    for (const process of [one, two]) process.want(site, limit, 1_000);
    world.run(40_000);
    world.run(20_000, within(world, limit));
    expect(new Set([one, two].map(({ member }) => member.status(0).name)).size).toBe(2);
  });

  test("give back what nobody asks for any more", () => {
    const world = createWorld(10);
    const two = ["one", "two"].map(world.start);
    for (const process of two) process.want(site, limit, 5);
    world.run(12_000);
    for (const process of two) {
      process.wants.clear();
      process.limits.clear();
    }
    for (const process of two) process.member.demand(site, 0);
    world.run(60_000);
    for (const process of two) expect(process.member.status(0).keys).toBe(0);
  });
});

describe("whatever happens", () => {
  const seeds = Array.from(
    { length: Number(process.env.SHARES_SEEDS ?? rounds(2, 12)) },
    (_, index) => 100 + index,
  );
  test.each(seeds)("the sum is never above the limit, and soon in use again (seed %i)", (seed) => {
    const world = createWorld(seed);
    const { random } = world;
    const bounds = {
      connectionsMax: [1, 2, 3, 5, 20, 100][Math.floor(random() * 6)] ?? 1,
      perMinute: [6, 60, 1_000, Number.POSITIVE_INFINITY][Math.floor(random() * 4)] ?? 60,
    };
    const check = within(world, bounds);
    let count = 0;
    let living: ReturnType<World["start"]>[] = [];
    const begin = () => {
      const process = world.start(`p${++count}`);
      process.want(site, bounds, Math.floor(random() * 200));
      living.push(process);
    };
    const any = () => living[Math.floor(random() * living.length)];
    begin();
    for (let step = 0; step < 25; step++) {
      const dice = random();
      const chosen = any();
      if (dice < 0.25 && living.length < 5) begin();
      else if (dice < 0.4 && chosen !== undefined) {
        chosen.die();
        living = living.filter((one) => one !== chosen);
      } else if (dice < 0.55) chosen?.cut(random() * 40_000);
      else if (dice < 0.65) chosen?.pause(random() * 9_000);
      else chosen?.want(site, bounds, random() < 0.2 ? 0 : Math.floor(random() * 300));
      world.run(random() * 15_000, check);
      if (living.length === 0) begin();
    }
    for (const process of living) process.want(site, bounds, 300);
    world.run(60_000, check);
    const used = utilisation(world, living, bounds);
    expect(used.connections).toBeGreaterThanOrEqual(0.95);
    if (Number.isFinite(bounds.perMinute)) expect(used.rate).toBeGreaterThanOrEqual(0.95);
  });
});
