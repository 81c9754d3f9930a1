import { expect, test } from "bun:test";
import {
  Address,
  type ControlAnswer,
  defaultOrganization,
  deliveryId,
  newMessageId,
  noTraffic,
  type PoolState,
  type ProcessState,
  type SiteState,
} from "@tyto/contracts";
import { Registry } from "@tyto/service";
import type { Observation } from "../../observation.ts";
import { createGauges, type GaugePorts } from "./gauges.ts";
import { keptBehind } from "./kept.ts";

const siteOf = (site: string, more: Partial<SiteState> = {}): SiteState => ({
  ...{ site, state: "open", connections: 1, inHand: 0, lastMinute: noTraffic, limits: [] },
  ...more,
});
const stateOf = (sites: SiteState[]): ProcessState => ({
  ...{ process: "p", startedAtMs: 0, connections: { open: 0, idle: 0, max: 1 }, inHand: 7 },
  ...{ lastMinute: noTraffic, sites, organizations: [], campaigns: [] },
  breakers: [
    { scope: "organization", id: "acme", state: "open" },
    { scope: "organization", id: "other", state: "closed" },
  ],
});
const egressOf = (egress: string, more: Partial<PoolState["egresses"][number]> = {}) => ({
  ...{ egress, ehloName: "mx.test", weight: 1, state: "in" as const, connections: 2, lastMinute: noTraffic },
  checks: [],
  ...more,
});
const counted: ControlAnswer<"mta.queue"> = {
  ...{ countedAtMs: 0, total: { entries: 3, ready: 1, later: 2 }, rows: [] },
  classes: [{ traffic: "bulk", entries: 3, ready: 1, later: 2, oldestAtMs: 40_000 }],
};

/** Lines of what Prometheus reads, without comments. */
function gaugesWith(ports: Partial<GaugePorts> = {}) {
  const registry = new Registry();
  const gauges = createGauges(registry, {
    state: () => stateOf([]),
    ...{ count: async () => counted, pools: () => [], rules: () => [], now: () => 100_000 },
    ...ports,
  });
  const read = async () => (await registry.metrics()).split("\n").filter((line) => /^tyto/.test(line));
  return { gauges, read };
}

test("what waits is told by class and age, as soon as it is counted", async () => {
  const { read } = gaugesWith();
  expect((await read()).filter((line) => line.includes("queue"))).toEqual([]);
  expect(await read()).toContain('tyto_mta_queue_entries{traffic="bulk"} 3');
  expect(await read()).toContain('tyto_mta_queue_oldest_seconds{traffic="bulk"} 60');
});

test("counting goes on behind the reader, rarely, and tells nothing when it fails", async () => {
  const clock = { nowMs: 0 };
  const answers = [Promise.resolve(1), Promise.reject(new Error("no NATS")), Promise.resolve(3)];
  let asked = 0;
  const kept = keptBehind(
    () => answers[asked++] ?? Promise.reject(new Error("asked too often")),
    () => clock.nowMs,
  );
  const next = async () => {
    const told = kept();
    await Promise.allSettled(answers);
    return told;
  };
  expect(await next()).toBeUndefined();
  expect(await next()).toBe(1);
  clock.nowMs = 59_999;
  expect(await next()).toBe(1);
  expect(asked).toBe(1);
  clock.nowMs = 60_000;
  expect(await next()).toBe(1);
  expect(await next()).toBeUndefined();
  expect(asked).toBe(2);
});

test("sites are told by name up to a hundred, the busiest and the sick ones, and the others together", async () => {
  const busy = { delivered: 5, deferred: 1, bounced: 0 };
  const sites = [
    ...Array.from({ length: 150 }, (_, at) => siteOf(`quiet${at}.example`)),
    siteOf("google", {
      ...{ lastMinute: busy, connections: 4, state: "slowed" },
      limits: [
        { egress: "a", state: "open", ratePerMinuteMax: 50 },
        { egress: "b", state: "open", ratePerMinuteMax: 25 },
      ],
    }),
    siteOf("sick.example", { state: "suspended" }),
  ];
  const lines = await gaugesWith({ state: () => stateOf(sites) }).read();
  for (const line of [
    'tyto_mta_site_connections{site="google"} 4',
    'tyto_mta_site_connections{site="other"} 52',
    'tyto_mta_site_rate_limit{site="google"} 75',
    'tyto_mta_site_state{site="sick.example"} 2',
    'tyto_mta_site_outcomes_per_minute{site="google",outcome="delivered"} 5',
    'tyto_mta_sites{state="open"} 150',
    'tyto_mta_sites{state="held"} 0',
    "tyto_mta_in_hand 7",
    "tyto_mta_breakers_open 1",
  ])
    expect(lines).toContain(line);
  expect(lines.filter((line) => line.startsWith("tyto_mta_site_connections"))).toHaveLength(101);
});

test("one look at the process serves all gauges of a reading, and what is gone is not told at the next", async () => {
  const clock = { nowMs: 0 };
  let looks = 0;
  const { read } = gaugesWith({
    state() {
      looks++;
      return stateOf(looks === 1 ? [siteOf("google")] : []);
    },
    now: () => clock.nowMs,
  });
  expect(await read()).toContain('tyto_mta_site_connections{site="google"} 1');
  expect(looks).toBe(1);
  clock.nowMs = 1_000;
  expect((await read()).join("\n")).not.toContain("google");
  expect(looks).toBe(2);
});

test("addresses are told by pool, their connections and warming once", async () => {
  const warming = { say: "", day: 1, days: 30, used: 9, cap: 50, isPaused: false, providers: [] };
  const lines = await gaugesWith({
    pools: () => [
      {
        pool: "one",
        isDefault: true,
        egresses: [egressOf("a", { warming }), egressOf("b", { state: "out" })],
      },
      { pool: "two", isDefault: false, egresses: [egressOf("a", { warming })] },
    ],
  }).read();
  expect(lines.filter((line) => /egress|warming/.test(line))).toEqual([
    'tyto_mta_egress_in{pool="one",egress="a"} 1',
    'tyto_mta_egress_in{pool="one",egress="b"} 0',
    'tyto_mta_egress_in{pool="two",egress="a"} 1',
    'tyto_mta_egress_connections{egress="a"} 2',
    'tyto_mta_egress_connections{egress="b"} 2',
    'tyto_mta_warming_messages{egress="a",kind="used"} 9',
    'tyto_mta_warming_messages{egress="a",kind="cap"} 50',
  ]);
});

test("outcomes are counted by provider; the domain of a small one is no label", async () => {
  const { gauges, read } = gaugesWith();
  const messageId = newMessageId();
  const see = (site: Observation["site"], recipient: string) =>
    gauges.see({
      ...{ atMs: 0, site, egress: { id: "a" }, outcome: "deferred", reason: "rate.limited" },
      entry: {
        ...{ deliveryId: deliveryId(messageId, 0), messageId, organizationId: defaultOrganization },
        ...{ recipient: Address.parse(recipient), attempt: 1 },
      },
    });
  see({ id: "google", provider: "google" }, "a@gmail.com");
  see({ id: "google", provider: "google" }, "b@hosted.example");
  see({ id: "mx.small.example" }, "c@small.example");
  expect((await read()).filter((line) => line.startsWith("tyto_mta_outcomes_total"))).toEqual([
    'tyto_mta_outcomes_total{outcome="deferred",provider="google",reason="rate.limited"} 2',
    'tyto_mta_outcomes_total{outcome="deferred",provider="other",reason="rate.limited"} 1',
  ]);
});
