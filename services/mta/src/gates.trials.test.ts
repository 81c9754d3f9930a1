/** What several mta processes find out together: by one nats-server, with the shares of limits. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import type { Bus } from "@tyto/bus";
import { startNats, type TestNats } from "@tyto/bus/testing";
import { Address, defaultOrganization, deliveryId, newMessageId } from "@tyto/contracts";
import { until } from "../../../test/parts/until.ts";
import { trialsMax } from "./breakers/breaker.ts";
import { isTrialKey, type TrialKey } from "./breakers/breakers.ts";
import { type Gates, openGates } from "./gates.ts";
import { createProfiles } from "./shaping/profiles.ts";
import type { SiteKey } from "./shaping/shaping.ts";
import type { Shares } from "./shares/shares.ts";
import { createShareKeys } from "./shares/site-keys.ts";
import { openShares } from "./shares/testing.ts";

type Process = {
  gates: Gates;
  shares: Shares;
  bus: Bus;
  demand(site: string, wanted: number): void;
  /** The part of the trials after a hold that this process is given when it wants all of them. */
  trialsWanted(): number;
};
let nats: TestNats;
let processes: Process[] = [];
const clock = { aheadMs: 0 };
const now = () => Date.now() + clock.aheadMs;
beforeAll(async () => {
  nats = await startNats({ users: true });
});
afterEach(async () => {
  for (const { gates, shares, bus } of processes) {
    await gates.stop();
    await shares.stop();
    await bus.drain();
  }
  processes = [];
  clock.aheadMs = 0;
  await nats.clear();
});
afterAll(() => nats.stop());

/** Gates of one mta process, wired to the shares as the mta does it. */
async function start(name: string): Promise<Process> {
  const bus = await nats.connect("mta");
  // A probe has a connection from the moment it has leave; the pool counts it for the mta.
  const probes = ({ egress, site }: SiteKey) =>
    gates.shaping.status(site).filter((row) => row.egress === egress && row.state === "probing").length;
  const { keyOf, inUse } = createShareKeys((key) =>
    isTrialKey(key) ? gates.breakers.trialsUnderWay(key) : probes(key),
  );
  const shares = await openShares(bus, name, inUse);
  const shareOf = (key: { egress: string; site: string }, connectionsMax: number) =>
    shares.shareOf(keyOf(key), { connectionsMax, perMinute: Number.POSITIVE_INFINITY }).connectionsMax;
  const gates: Gates = await openGates({
    ...{ bus, now, random: () => 0.5, log: { info() {}, warn() {} } },
    profiles: createProfiles({ connectionsMax: 20 }),
    rules: { rules: [], shipped: new Set() },
    pauseFirstMs: 30_000,
    shareOf: (key, limit) => shares.shareOf(keyOf(key), limit),
    trialsOf: shareOf,
    onTrialsWanted: (key, wanted) => shares.demand(keyOf(key), wanted),
  });
  const demand = (site: string, wanted: number) => shares.demand(keyOf({ egress: "mail1", site }), wanted);
  const trialsWanted = () => {
    const key: TrialKey = { egress: "trial:organization", site: defaultOrganization };
    const part = shareOf(key, trialsMax);
    shares.demand(keyOf(key), trialsMax);
    return part;
  };
  const process = { gates, shares, bus, demand, trialsWanted };
  processes.push(process);
  return process;
}
const startAll = async (...names: string[]) => {
  const all: Process[] = [];
  for (const name of names) all.push(await start(name));
  await until("they know each other", () =>
    all.every(
      ({ shares }) => shares.status().mode === "shared" && shares.status().peers.length === all.length - 1,
    ),
  );
  return all;
};
const startThree = () => startAll("one", "two", "three");

function entryOf() {
  const messageId = newMessageId();
  return {
    ...{ messageId, deliveryId: deliveryId(messageId, 0), organizationId: defaultOrganization },
    ...{ recipient: Address.parse("bob@example.net"), attempt: 1 },
  };
}
const site = { id: "mx.example.net" };
const seen = (outcome: "delivered" | "deferred" | "bounced", entry = entryOf()) => ({
  ...{ atMs: now(), entry, site, egress: { id: "mail1" }, outcome },
});

test("after a hold five messages are on trial in all processes together", async () => {
  const three = await startThree();
  const [one] = three;
  for (let n = 0; n < 8; n++) one?.gates.see({ ...seen("bounced"), reason: "mailbox.unknown", hard: true });
  await until("all know of it", () => three.every(({ gates }) => gates.holds.list().length === 1));
  await until("all count together", () =>
    three.every(({ gates }) => gates.breakers.status().some(({ state }) => state === "open")),
  );
  await until("each has a part of the trials", () => {
    const parts = three.map(({ trialsWanted }) => trialsWanted());
    return parts.every((part) => part > 0) && parts.reduce((sum, part) => sum + part, 0) === trialsMax;
  });
  clock.aheadMs += 31 * 60_000;
  const out: { gates: Gates; entry: ReturnType<typeof entryOf> }[] = [];
  const tryAll = () => {
    for (const { gates } of three) {
      const entry = entryOf();
      if (gates.isFree(entry, site.id).kind === "go") out.push({ gates, entry });
    }
  };
  await until("five are out", () => {
    tryAll();
    return out.length >= 5;
  });
  // Long enough for claims to move.
  const untilMs = performance.now() + 800;
  await until("time has passed", () => {
    tryAll();
    return performance.now() > untilMs;
  });
  expect(out).toHaveLength(5);
  expect(new Set(out.map(({ gates }) => gates)).size).toBeGreaterThan(1);

  // What one of them knows to be well makes room for one more, by whomever.
  const [first] = out;
  first?.gates.see(seen("delivered", first.entry));
  await until("one more is out", () => {
    tryAll();
    return out.length > 5;
  });
  expect(out).toHaveLength(6);
}, 120_000);

test("a site that is left alone is so by all processes, is asked by one message, and speaks with all again", async () => {
  const three = await startThree();
  const key = { egress: "mail1", site: site.id };
  const [one] = three;
  const busy = { ...seen("deferred"), reason: "network.unreachable" as const };
  one?.gates.see(busy);
  await until("all leave it alone", () =>
    three.every(({ gates }) => gates.shaping.status(site.id)[0]?.state === "suspended"),
  );

  for (const round of [1, 2]) {
    clock.aheadMs += 45_000 * round;
    const probes: Gates[] = [];
    const askAll = () => {
      for (const { gates, demand } of three) {
        demand(site.id, 100);
        if (gates.shaping.leave(key, undefined).kind === "go") probes.push(gates);
      }
    };
    await until("one asks", () => {
      askAll();
      return probes.length > 0;
    });
    const [probe] = probes;
    // While it is under way, and when it ends badly, nobody else asks.
    if (round === 1) probe?.see({ ...busy, atMs: now() });
    const untilMs = performance.now() + 1_200;
    await until("time has passed", () => {
      askAll();
      return performance.now() > untilMs;
    });
    expect(probes).toHaveLength(1);
    if (round === 2) probe?.see({ ...seen("delivered"), atMs: now() });
  }
  await until("all know that it speaks", () =>
    three.every(({ gates }) => gates.shaping.status(site.id)[0]?.state === "slowed"),
  );
}, 120_000);

test("a suspended site that an operator has asked is asked by one message of all processes, and opens for all by its success", async () => {
  const two = await startAll("one", "two");
  const key = { egress: "mail1", site: site.id };
  const statesOf = () => two.map(({ gates }) => gates.shaping.status(site.id)[0]?.state);
  two[0]?.gates.see({ ...seen("deferred"), reason: "network.unreachable" as const });
  await until("both leave it alone", () => statesOf().every((state) => state === "suspended"));
  const probes: Gates[] = [];
  const askAll = () => {
    for (const { gates, demand } of two) {
      demand(site.id, 100);
      if (gates.shaping.leave(key, undefined).kind === "go") probes.push(gates);
    }
  };
  askAll();
  expect(probes).toEqual([]);

  for (const { gates } of two) expect(gates.shaping.askNext(site.id)).toBe(1);
  // Longer than claims need to move.
  const untilMs = performance.now() + 800;
  await until("one asks, and nobody else does", () => {
    askAll();
    return probes.length > 0 && performance.now() > untilMs;
  });
  expect(probes).toHaveLength(1);
  probes[0]?.see({ ...seen("delivered"), atMs: now() });
  await until("it speaks with both", () => statesOf().every((state) => state === "slowed"));
  expect(two.map(({ gates }) => gates.shaping.leave(key, undefined).kind)).toEqual(["go", "go"]);
}, 120_000);
