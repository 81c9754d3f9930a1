import { beforeEach, expect, test } from "bun:test";
import type { Host } from "../mx.ts";
import type { Leave } from "../observation.ts";
import type { Session } from "../smtp.ts";
import { wantOf as want } from "../testing.ts";
import type { Demand } from "../tls/demand.ts";
import { createPool, fixedLimits, type Lease, type Pool, type Refusal } from "./pool.ts";

type Fake = Session & {
  number: number;
  isOpen: boolean;
  quits: number;
  resetAnswer: boolean;
  /** The server takes its time to close after QUIT. */
  isSlowToClose: boolean;
  hangUp(): void;
};

let opened: Fake[];
let answer: "open" | "failure";
let nowMs: number;
beforeEach(() => {
  opened = [];
  given = [];
  answer = "open";
  nowMs = 0;
});

function fakeSession(number: number): Fake {
  const listeners: (() => void)[] = [];
  let isClosed = false;
  const end = () => {
    session.isOpen = false;
    isClosed = true;
    for (const listener of listeners.splice(0)) listener();
  };
  const session: Fake = {
    endpoint: { name: "mx", ip: "192.0.2.1", port: 25 },
    localIp: undefined,
    tls: null,
    timings: {},
    number,
    isOpen: true,
    quits: 0,
    resetAnswer: true,
    isSlowToClose: false,
    send: async () => ({ kind: "interrupted" }),
    reset: async () => session.resetAnswer,
    quit() {
      session.quits++;
      session.isOpen = false;
      if (!session.isSlowToClose) end();
    },
    onEnd(listener) {
      if (isClosed) listener();
      else listeners.push(listener);
    },
    hangUp: end,
  };
  return session;
}

const host = (name: string): Host => ({ name, port: 25, isTrusted: false, isImplicit: false });
type Change = Partial<Parameters<typeof createPool<{ kind: "failure" }>>[0]> & {
  siteConnectionsMax?: number;
  leave?: (site: string) => Leave;
};
const poolOf = ({ siteConnectionsMax = 2, leave = () => ({ kind: "go" }), ...change }: Change = {}) =>
  createPool<{ kind: "failure" }>({
    async open() {
      if (answer === "failure") return { failure: { kind: "failure" }, isRestful: true };
      const session = fakeSession(opened.length);
      opened.push(session);
      return session;
    },
    connectionsMax: 100,
    limits: {
      ...fixedLimits(siteConnectionsMax, 3),
      leave: ({ site }) => leave(site),
      giveBack: () => void given.push("back"),
    },
    idleMax: 10,
    idleMsMax: 60_000,
    restMs: 1_000,
    now: () => nowMs,
    random: () => 0.5,
    ...change,
  });
/** Leaves that were taken and given back. */
let given: string[] = [];

async function leased(pool: Pool<{ kind: "failure" }>, name = "a", fresh = false): Promise<Lease> {
  const lease = await pool.acquire(host(name), want(name), { fresh, waitMs: 2_000 });
  if (lease.kind !== "lease") throw new Error(`got ${lease.kind}`);
  return lease;
}
const numberOf = ({ session }: Lease) => (session as Fake).number;
/** Lets everything that is ready happen. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

test("a released session is used for the next message, the one used last first", async () => {
  const pool = poolOf();
  const [one, two] = [await leased(pool), await leased(pool)];
  expect([one.isReused, two.isReused]).toEqual([false, false]);
  one.release("ready");
  two.release("ready");
  const next = await leased(pool);
  expect([numberOf(next), next.isReused]).toEqual([1, true]);
});

test("a session is shared only by those who ask the same of it", async () => {
  const pool = poolOf();
  const asking = (key: string): Host => ({
    ...host("mx"),
    demand: { domain: "example.org", host: "mx", clauses: [], serverName: "mx", sts: { kind: "none" }, key },
  });
  for (const each of [asking(""), asking("certificate"), host("mx"), asking("certificate")]) {
    const lease = await pool.acquire(each, want("mx"), { waitMs: 0 });
    if (lease.kind === "lease") lease.release("ready");
  }
  // One for those who ask nothing, one for those who want a certificate.
  expect(opened).toHaveLength(2);
});

test("a site never has more connections than allowed; who waits longest gets the next one", async () => {
  const pool = poolOf();
  const [one, two] = [await leased(pool), await leased(pool)];
  const order: string[] = [];
  const waiting = ["third", "fourth"].map(async (name) => {
    const lease = await leased(pool);
    order.push(`${name} got ${numberOf(lease)}`);
  });
  await turn();
  expect([order, opened.length]).toEqual([[], 2]);
  two.release("ready");
  one.release("ready");
  await Promise.all(waiting);
  expect(order).toEqual(["third got 1", "fourth got 0"]);
  expect(opened).toHaveLength(2);
});

test("a broken session makes room for a new one", async () => {
  const pool = poolOf({ siteConnectionsMax: 1 });
  const one = await leased(pool);
  const waiting = leased(pool);
  one.release("broken");
  expect(numberOf(await waiting)).toBe(1);
  expect(opened[0]?.quits).toBe(1);
});

test("a session that said QUIT keeps its place at its site until it is closed, and no other site waits for that", async () => {
  const pool = poolOf({ siteConnectionsMax: 1, connectionsMax: 1 });
  const one = await leased(pool);
  const slow = opened[0];
  if (slow) slow.isSlowToClose = true;
  const waiting = leased(pool);
  const elsewhere = leased(pool, "b");
  one.release("broken");
  const other = await elsewhere;
  expect([pool.connectionsTo({ egress: "one", site: "a" }), opened.length]).toEqual([1, 2]);
  other.release("ready");
  await turn();
  // There is room among all connections, and none at the site.
  expect(opened).toHaveLength(2);
  slow?.hangUp();
  expect(numberOf(await waiting)).toBe(2);
});

test("when a site may have fewer, as many go as are too many: idle ones, then those whose outcome is being stored, then the next to be", async () => {
  let most = 4;
  const pool = poolOf({ limits: { ...fixedLimits(4, 10), connectionsMax: () => most } });
  const leases = [await leased(pool), await leased(pool), await leased(pool), await leased(pool)];
  for (const session of opened) session.isSlowToClose = true;
  const [idle, stored, sending] = leases;
  idle?.release("ready");
  stored?.rest();
  const quits = () => opened.map(({ quits }) => quits);
  most = 3;
  pool.wake();
  // What has said QUIT is on its way out: looking again closes no more.
  pool.wake();
  expect(quits()).toEqual([1, 0, 0, 0]);
  most = 1;
  pool.wake();
  expect(quits()).toEqual([1, 1, 0, 0]);
  sending?.rest();
  expect(quits()).toEqual([1, 1, 1, 0]);
  // Their outcomes are stored at last.
  for (const lease of leases) lease.release("ready");
  expect(quits()).toEqual([1, 1, 1, 0]);
  expect(pool.connectionsTo({ egress: "one", site: "a" })).toBe(4);
  for (const session of opened.slice(0, 3)) session.hangUp();
  expect(pool.count()).toEqual({ open: 1, idle: 1 });
});

test("after a refusal the session is reset, and given up when that fails", async () => {
  const pool = poolOf({ siteConnectionsMax: 1 });
  (await leased(pool)).release("dirty");
  await turn();
  const again = await leased(pool);
  expect(numberOf(again)).toBe(0);
  if (opened[0]) opened[0].resetAnswer = false;
  again.release("dirty");
  await turn();
  expect(numberOf(await leased(pool))).toBe(1);
});

test("a session carries a bounded number of messages", async () => {
  const pool = poolOf({ siteConnectionsMax: 1 });
  const numbers: number[] = [];
  for (let message = 0; message < 5; message++) {
    const lease = await leased(pool);
    numbers.push(numberOf(lease));
    lease.release("ready");
  }
  expect(numbers).toEqual([0, 0, 0, 1, 1]);
});

test("a session that the server closed while it waited is not handed out", async () => {
  const pool = poolOf();
  (await leased(pool)).release("ready");
  opened[0]?.hangUp();
  expect(pool.count()).toEqual({ open: 0, idle: 0 });
  expect(numberOf(await leased(pool))).toBe(1);
});

test("fresh gives up those that wait and opens anew", async () => {
  const pool = poolOf();
  const [one, two] = [await leased(pool), await leased(pool)];
  one.release("ready");
  two.release("ready");
  const fresh = await leased(pool, "a", true);
  expect([numberOf(fresh), fresh.isReused]).toEqual([2, false]);
  expect([opened[0]?.quits, opened[1]?.quits]).toEqual([1, 1]);
  expect(pool.count()).toEqual({ open: 1, idle: 0 });
});

test("waiting sessions are bounded over all sites; the oldest site's goes first", async () => {
  const pool = poolOf({ idleMax: 2 });
  for (const name of ["a", "b", "c"]) (await leased(pool, name)).release("ready");
  expect(pool.count()).toEqual({ open: 2, idle: 2 });
  expect(opened.map(({ quits }) => quits)).toEqual([1, 0, 0]);
});

test("who waits too long is told that the site is busy, and costs no place", async () => {
  const pool = poolOf({ siteConnectionsMax: 1 });
  const one = await leased(pool);
  expect((await pool.acquire(host("a"), want("a"), { waitMs: 10 })).kind).toBe("wait");
  one.release("ready");
  expect(numberOf(await leased(pool))).toBe(0);
});

test("who would wait too long is told at once, when the line has stood long enough to judge by it", async () => {
  const pool = poolOf({ siteConnectionsMax: 1 });
  const one = await leased(pool);
  const acquire = () => pool.acquire(host("a"), want("a"), { waitMs: 400 });
  // Nobody is in line yet, and one turn takes 100 ms as far as anybody knows.
  const [first, second] = [acquire(), acquire()];
  nowMs += 5_001;
  // The only session has hung for five seconds by now.
  expect((await acquire()).kind).toBe("wait");
  one.release("ready");
  const two = await first;
  expect(two.kind).toBe("lease");
  if (two.kind === "lease") two.release("ready");
  expect((await second).kind).toBe("lease");
  // A site whose sessions all hang is as slow as the youngest of them, though nobody is in line.
  nowMs += 60_000;
  expect((await pool.acquire(host("a"), want("a"), { waitMs: 10_000 })).kind).toBe("wait");
});

test("over all sites there are never more connections than allowed; a waiting session gives way", async () => {
  const pool = poolOf({ connectionsMax: 2 });
  (await leased(pool, "a")).release("ready");
  const [b, c] = [await leased(pool, "b"), await leased(pool, "c")];
  expect([opened[0]?.quits, pool.count()]).toEqual([1, { open: 2, idle: 0 }]);
  expect((await pool.acquire(host("d"), want("d"), { waitMs: 10 })).kind).toBe("wait");
  b.release("broken");
  expect(numberOf(await leased(pool, "d"))).toBe(3);
  c.release("ready");
  expect(pool.count()).toEqual({ open: 2, idle: 1 });
});

test("when all connections are in use, sites take turns for the next one", async () => {
  const pool = poolOf({ connectionsMax: 1 });
  const first = await leased(pool, "a");
  const order: string[] = [];
  const waiting = ["b", "b", "c"].map(async (name) => {
    const lease = await leased(pool, name);
    order.push(name);
    lease.release("broken");
  });
  await turn();
  first.release("ready");
  await Promise.all(waiting);
  expect(order).toEqual(["b", "c", "b"]);
});

test("an idle session says QUIT when its time is over", async () => {
  const pool = poolOf({ idleMsMax: 5 });
  (await leased(pool)).release("ready");
  const { promise, resolve } = Promise.withResolvers<void>();
  opened[0]?.onEnd(resolve);
  await promise;
  expect(pool.count()).toEqual({ open: 0, idle: 0 });
});

test("a site that cannot be reached rests, and one alone asks again", async () => {
  answer = "failure";
  let asked = 0;
  const held: (() => void)[] = [];
  const pool = poolOf({
    siteConnectionsMax: 10,
    async open() {
      asked++;
      await new Promise<void>((resolve) => held.push(resolve));
      return answer === "failure" ? { failure: { kind: "failure" }, isRestful: true } : fakeSession(0);
    },
  });
  const release = () => {
    for (const go of held.splice(0)) go();
  };
  const first = pool.acquire(host("a"), want("a"), { waitMs: 2_000 });
  await turn();
  release();
  expect((await first).kind).toBe("failure");

  expect((await pool.acquire(host("a"), want("a"), { waitMs: 2_000 })).kind).toBe("failure");
  expect(asked).toBe(1);

  nowMs = 1_000;
  const probe = pool.acquire(host("a"), want("a"), { waitMs: 2_000 });
  expect((await pool.acquire(host("a"), want("a"), { waitMs: 2_000 })).kind).toBe("failure");
  expect(asked).toBe(2);
  answer = "open";
  release();
  expect((await probe).kind).toBe("lease");
  const next = pool.acquire(host("a"), want("a"), { waitMs: 2_000 });
  await turn();
  release();
  expect((await next).kind).toBe("lease");
});

test("who finds out whether a site is well again asks its host, though that rests", async () => {
  answer = "failure";
  let leave: Leave = { kind: "go" };
  const pool = poolOf({ leave: () => leave });
  expect((await pool.acquire(host("a"), want("a"), { waitMs: 2_000 })).kind).toBe("failure");
  answer = "open";
  expect((await pool.acquire(host("a"), want("a"), { waitMs: 2_000 })).kind).toBe("failure");
  leave = { kind: "go", isProbe: true };
  expect((await pool.acquire(host("a"), want("a"), { waitMs: 2_000 })).kind).toBe("lease");
});

test("hosts of a site that speaks with another process are asked, though they rest", async () => {
  answer = "failure";
  const pool = poolOf();
  expect((await pool.acquire(host("a"), want("a"), { waitMs: 2_000 })).kind).toBe("failure");
  answer = "open";
  pool.reopen({ egress: "one", site: want("a").site });
  expect((await pool.acquire(host("a"), want("a"), { waitMs: 2_000 })).kind).toBe("lease");
});

test("who comes to a site that is left alone is sent away at once, also where another process has its one connection", async () => {
  const pause = { kind: "wait", untilMs: nowMs + 60_000, why: "left alone", isPause: true } as const;
  const pool = poolOf({ limits: { ...fixedLimits(0, 3), pause: () => pause } });
  const refused = await pool.acquire(host("a"), want("a"), { waitMs: 60_000 - 1 });
  expect(refused).toMatchObject({ kind: "wait", why: "left alone" });
  if (refused.kind === "wait") expect(refused.untilMs).toBeGreaterThanOrEqual(pause.untilMs);
});

test("how long a pause had still to go slows nobody down when it is over", async () => {
  let leave: Leave = { kind: "wait", untilMs: nowMs + 1_500, why: "left alone", isPause: true };
  const pool = poolOf({ siteConnectionsMax: 1, leave: () => leave });
  const first = pool.acquire(host("a"), want("a"), { waitMs: 2_000 });
  leave = { kind: "go", isProbe: true };
  pool.wake();
  const lease = await first;
  const second = pool.acquire(host("a"), want("a"), { waitMs: 500 });
  if (lease.kind === "lease") lease.release("ready");
  expect((await second).kind).toBe("lease");
});

test("how long a site took to answer the probe puts nobody off when it speaks again", async () => {
  const pool = poolOf({ siteConnectionsMax: 1 });
  const probe = await leased(pool);
  nowMs += 60_000;
  pool.reopen({ egress: "one", site: want("a").site });
  const second = pool.acquire(host("a"), want("a"), { waitMs: 500 });
  probe.release("ready");
  const lease = await second;
  const third = pool.acquire(host("a"), want("a"), { waitMs: 500 });
  if (lease.kind === "lease") lease.release("ready");
  expect([lease.kind, (await third).kind]).toEqual(["lease", "lease"]);
});

test("stopping ends the waits, and a closed pool keeps nothing", async () => {
  const pool = poolOf({ siteConnectionsMax: 1 });
  const stopping = new AbortController();
  const [one, idle] = [await leased(pool, "a"), await leased(pool, "b")];
  idle.release("ready");
  const waiting: Promise<Lease | Refusal<{ kind: "failure" }>> = pool.acquire(host("a"), want("a"), {
    waitMs: 2_000,
    signal: stopping.signal,
  });
  stopping.abort();
  expect((await waiting).kind).toBe("interrupted");
  pool.close();
  one.release("ready");
  await turn();
  expect(opened.map(({ quits }) => quits)).toEqual([1, 1]);
  expect(pool.count()).toEqual({ open: 0, idle: 0 });
});

test("any order of leases, releases and hang-ups keeps to the bounds and loses no place", async () => {
  let state = 5;
  const next = (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const pool = poolOf({
    siteConnectionsMax: 3,
    idleMax: 4,
    connectionsMax: 5,
    async open() {
      if (answer === "failure") return { failure: { kind: "failure" }, isRestful: true };
      const session = fakeSession(opened.length);
      session.isSlowToClose = next(3) === 0;
      opened.push(session);
      return session;
    },
  });
  const held: Lease[] = [];
  let pending = 0;
  for (let step = 0; step < 3_000; step++) {
    const action = next(5);
    if (action < 2 && pending < 5) {
      pending++;
      answer = next(10) === 0 ? "failure" : "open";
      const name = `site${next(4)}`;
      void pool.acquire(host(name), want(name), { fresh: next(8) === 0, waitMs: 60_000 }).then((got) => {
        pending--;
        if (got.kind === "lease") held.push(got);
      });
    } else if (action < 4)
      held
        .splice(next(held.length + 1), 1)[0]
        ?.release((["ready", "dirty", "broken"] as const)[next(3)] ?? "ready");
    else opened[next(opened.length + 1)]?.hangUp();
    nowMs += 300;
    if (step % 3 === 0) await turn();
    const { open, idle } = pool.count();
    expect(open).toBeLessThanOrEqual(12);
    expect(idle).toBeLessThanOrEqual(4);
    for (const site of ["site0", "site1", "site2", "site3"])
      expect(pool.connectionsTo({ egress: "one", site })).toBeLessThanOrEqual(3);
  }
  // Everything given back: whoever waits is served, and nothing is left but idle sessions.
  for (let round = 0; round < 50 && (pending > 0 || held.length > 0); round++) {
    for (const lease of held.splice(0)) lease.release("broken");
    for (const session of opened) if (!session.isOpen) session.hangUp();
    await turn();
  }
  await turn();
  expect(pending).toBe(0);
  const { open, idle } = pool.count();
  expect(open).toBe(idle);
});

test("a site gets no message without leave, and who cannot wait for it learns when to come again", async () => {
  let untilMs = 0;
  const pool = poolOf({
    leave: () => (nowMs >= untilMs ? { kind: "go" } : { kind: "wait", untilMs, why: "it asked for a pause" }),
  });
  untilMs = 60_000;
  const refused = await pool.acquire(host("a"), want("a"), { waitMs: 2_000 });
  expect(refused).toMatchObject({ kind: "wait", why: "it asked for a pause" });
  expect(refused.kind === "wait" && refused.untilMs).toBeGreaterThanOrEqual(60_000);
  expect(opened).toHaveLength(0);
  nowMs = 60_000;
  expect((await leased(pool)).kind).toBe("lease");
});

test("a short wait for leave is waited for, in the order of the turns", async () => {
  let leaves = 1;
  const pool = poolOf({
    leave: () => (leaves-- > 0 ? { kind: "go" } : { kind: "wait", untilMs: nowMs + 5, why: "its rate" }),
  });
  const first = await leased(pool);
  const order: string[] = [];
  const waiting = [want("a"), want("a", { traffic: "transactional" })].map(async (one) => {
    const lease = await pool.acquire(host("a"), one, { waitMs: 2_000 });
    if (lease.kind === "lease") order.push(one.traffic);
  });
  leaves = 2;
  first.release("ready");
  await Promise.all(waiting);
  expect(order).toEqual(["transactional", "bulk"]);
});

test("those that a rate keeps back are told times one behind the other, each owner by itself", async () => {
  const pool = poolOf({ leave: () => ({ kind: "wait", untilMs: nowMs + 500, why: "its rate" }) });
  void pool.acquire(host("a"), want("a"), { waitMs: 2_000 });
  const times = [];
  for (const owner of ["a", "a", "b"]) {
    const refused = await pool.acquire(host("a"), want("a", { owner }), { waitMs: 100 });
    if (refused.kind === "wait") times.push([owner, refused.untilMs - nowMs]);
  }
  const [[, first = 0] = [], [, second = 0] = [], [, other = 0] = []] = times as [string, number][];
  expect(second).toBeGreaterThan(first);
  expect(other).toBe(first);
});

test("those that find all connections in use come again well before their turn is expected", async () => {
  const pool = poolOf({ siteConnectionsMax: 1 });
  await leased(pool);
  nowMs += 10_000;
  const refused = await pool.acquire(host("a"), want("a"), { waitMs: 100 });
  expect(refused).toMatchObject({ kind: "wait", untilMs: nowMs + 5_000 });
});

test("hosts and demands of one site share its connections, and never a session", async () => {
  const pool = poolOf({ siteConnectionsMax: 1 });
  const acquire = (name: string, key: string) =>
    pool.acquire({ ...host(name), demand: { key } as Demand }, want("site"), { waitMs: 2_000 });
  const one = await acquire("mx1", "");
  const next = acquire("mx1", "verified");
  if (one.kind === "lease") one.release("ready");
  expect(await next).toMatchObject({ isReused: false });
  expect([opened.length, opened[0]?.quits, pool.count()]).toEqual([2, 1, { open: 1, idle: 0 }]);
});

test("who stops while a place is being made for it opens nothing, and gives place and leave back", async () => {
  const pool = poolOf({ siteConnectionsMax: 1 });
  (await leased(pool, "a")).release("ready");
  const [first] = opened;
  if (first) first.isSlowToClose = true;
  const stopping = new AbortController();
  const other = pool.acquire(host("mx2"), want("a"), { waitMs: 2_000, signal: stopping.signal });
  stopping.abort();
  first?.hangUp();
  expect([(await other).kind, opened.length, given]).toEqual(["interrupted", 1, ["back"]]);
  expect(pool.count()).toEqual({ open: 0, idle: 0 });
});

test("an address of ours has its own connections to a site", async () => {
  const pool = poolOf({ siteConnectionsMax: 1 });
  await leased(pool);
  const other = await pool.acquire(host("a"), want("a", { egress: { id: "two", ehloName: "two.test" } }), {
    waitMs: 10,
  });
  expect(other.kind).toBe("lease");
});
