import { describe, expect, test } from "bun:test";
import type { Hold, SiteLimit } from "@tyto/contracts";
import type { Refused } from "../egress/egresses.ts";
import { createActivity } from "./activity.ts";
import { heldBy, processState, type StatePorts, siteState, waitOf } from "./state.ts";
import { createWaits } from "./waits.ts";

const lastMinute = { delivered: 1, deferred: 0, bounced: 0 };
const portsWith = (bySite: Readonly<Record<string, number>>): StatePorts => ({
  ...{ process: "p", startedAtMs: 0, activity: createActivity(() => 0), now: () => 0 },
  connections: () => ({ open: 1, idle: 0, max: 100 }),
  waits: createWaits(() => 0),
  inHand: () => ({
    ...{ total: 2, bySite: new Map(Object.entries(bySite)) },
    sinceMs: new Map(Object.keys(bySite).map((site) => [site, 0])),
  }),
  limitsOf: () => [],
  refusedAt: () => [],
  closed: () => [],
  pools: [],
  limitedSites: () => [],
  holds: () => [],
  breakers: () => [],
});

test("a site that has answered nothing yet is told while mail to it is in hand, and no longer", () => {
  const tarpit = { site: "mx.tarpit.example", state: "open", inHand: 2 } as const;
  const busy = portsWith({ "mx.tarpit.example": 2 });
  expect(processState(busy).sites).toMatchObject([tarpit]);
  expect(siteState(busy, "mx.tarpit.example")).toMatchObject(tarpit);
  expect(processState(portsWith({})).sites).toEqual([]);
  expect(siteState(portsWith({}), "mx.tarpit.example")).toBeUndefined();
});

test("a server that answers nothing for a minute is told as slow, before what was heard of it last", () => {
  const waits = createWaits(() => 0);
  waits.seeAway("mx.tarpit.example", "at most 2 messages per minute");
  waits.seeAway("google", "google: at most 2 messages per minute");
  const at = (nowMs: number): StatePorts => ({
    ...portsWith({ "mx.tarpit.example": 2 }),
    ...{ waits, now: () => nowMs, activity: createActivity(() => nowMs) },
  });
  const words = (ports: StatePorts) => processState(ports).waits?.map(({ place, why }) => `${place} ${why}`);
  const google = "google it waits for its turn: google: at most 2 messages per minute";
  expect(words(at(59_999))).toContain(
    "mx.tarpit.example it waits for its turn: at most 2 messages per minute",
  );
  const slow = "the server takes its time: 2 in hand, and no answer within a minute";
  expect(words(at(60_000))).toEqual([`mx.tarpit.example ${slow}`, google]);
  expect(waitOf(at(60_000), "mx.tarpit.example")?.why).toBe(slow);
  const answering = at(60_000);
  const busy = { ...answering, activity: { ...answering.activity, of: () => lastMinute } };
  expect(waitOf(busy, "mx.tarpit.example")?.why).toStartWith("it waits for its turn");
});

test("a sender that is held at one site is told there and for the sender, who is open elsewhere", () => {
  const activity = createActivity(() => 0);
  const hold = {
    scope: "organization",
    id: "acme",
    site: "google",
    why: "spam, they say",
    by: "ann",
  } as const;
  const ports: StatePorts = {
    ...portsWith({ google: 1, yahoo: 1 }),
    activity: {
      ...activity,
      busy: (kind) => [{ key: kind === "organization" ? "acme" : "acme/x", lastMinute }],
    },
    holds: () => [{ ...hold, key: "organization:acme@google", sinceMs: 0 }],
  };
  const { sites, organizations, campaigns } = processState(ports);
  const here = "the organization acme at google is held by ann: spam, they say";
  expect(sites).toMatchObject([{ site: "google", state: "open", why: here }, { site: "yahoo" }]);
  expect(sites[1]?.why).toBeUndefined();
  expect(organizations).toEqual([
    { key: "acme", state: "open", why: "held at google by ann: spam, they say", lastMinute },
  ]);
  expect(campaigns[0]).toMatchObject({ state: "open" });
});

test("where no server can be reached at all, that is why mail waits, before what the site is blamed for", () => {
  const closed = "outgoing port 25 seems to be blocked";
  const waits = createWaits(() => 0);
  for (const site of ["mx.one.example", "mx.routed.example"]) waits.seeAway(site, "others were quicker");
  const limit: SiteLimit = { egress: "system", state: "suspended", untilMs: 9_000, why: "no connection" };
  const ports: StatePorts = {
    ...portsWith({ "mx.one.example": 1, "mx.routed.example": 1 }),
    ...{ waits, limitsOf: () => [limit] },
    closed: () => [{ egress: "system", sites: new Set(["mx.one.example"]), why: closed }],
  };
  const { sites, waits: told = [] } = processState(ports);
  expect(sites.map(({ site, state, why }) => [site, state, why])).toEqual([
    ["mx.one.example", "suspended", `${closed}; no connection`],
    ["mx.routed.example", "suspended", "no connection"],
  ]);
  const turn = "it waits for its turn: others were quicker";
  expect(told.map(({ place, why }) => [place, why]).toSorted()).toEqual([
    ["mx.one.example", closed],
    ["mx.routed.example", turn],
  ]);
  expect(waitOf(ports, "mx.one.example")?.why).toBe(closed);
  expect(waitOf(ports, "mx.routed.example")?.why).toBe(turn);
});

test("a breaker that is open says why, by the hold that it made", () => {
  const why = "9 of the last 50 bounced";
  const ports: StatePorts = {
    ...portsWith({}),
    breakers: () => [
      { scope: "organization", id: "acme", state: "open", sinceMs: 5 },
      { scope: "campaign", id: "acme/spring", state: "open", sinceMs: 5 },
      { scope: "organization", id: "good", state: "closed" },
    ],
    holds: () =>
      [
        ...(["", "@google"] as const).map((at) => ({
          ...{ key: `organization:acme${at}`, scope: "organization" as const, id: "acme" },
          ...(at === "" ? { why, by: "breaker:bounces" } : { why: "spam", by: "ann", site: "google" }),
          sinceMs: 5,
        })),
      ].reverse(),
  };
  expect(processState(ports).breakers).toEqual([
    { scope: "organization", id: "acme", state: "open", sinceMs: 5, why },
    { scope: "campaign", id: "acme/spring", state: "open", sinceMs: 5 },
    { scope: "organization", id: "good", state: "closed" },
  ]);
});

test("a campaign is held by its name alone and by its name behind its organization, however it is asked for", () => {
  const held = (id: string): Hold => ({
    ...{ key: `campaign:${id}`, scope: "campaign", id, why: "too many complaints", by: "ann", sinceMs: 0 },
  });
  for (const [holdId, asked, state] of [
    ["spring", "spring", "held"],
    ["spring", "acme/spring", "held"],
    ["acme/spring", "spring", "held"],
    ["acme/spring", "acme/spring", "held"],
    ["acme/spring", "other/spring", "open"],
    ["ring", "acme/spring", "open"],
  ] as const)
    expect([holdId, asked, heldBy([held(holdId)], "campaign", asked).state]).toEqual([holdId, asked, state]);
});

describe("why the mail of a site waits", () => {
  const full = "b: day 6 of 30, 1,100 of 1,100 used";
  const limits: SiteLimit[] = [
    { egress: "a", state: "suspended", untilMs: 9_000, why: "out of order (450 later)" },
    { egress: "b", state: "slowed", why: "it was too much (421 yesterday)" },
  ];
  const rowOf = (refused: Refused[], of: SiteLimit[] = limits) =>
    siteState({ ...portsWith({}), limitsOf: () => of, refusedAt: () => refused }, "mx.example.net");

  test("is what holds it now: the pool, where no address that the site takes mail from may send it", () => {
    expect(rowOf([])).toMatchObject({ state: "slowed", why: "it was too much (421 yesterday)" });
    const row = rowOf([{ egress: "b", traffic: "bulk", why: full }]);
    expect(row).toMatchObject({
      state: "slowed",
      why: `no address may send bulk mail now; ${full}; the site is left alone by a: out of order (450 later)`,
    });
    expect(row?.limits[1]?.why).toBe(`no bulk mail (${full}); it was too much (421 yesterday)`);
  });

  describe("with pools of one address each", () => {
    const pools = [
      { name: "transactional", ids: ["a"] },
      { name: "bulk", ids: ["b"] },
    ];
    const pooled = (of: SiteLimit[], refused: Refused[] = [], more: Partial<StatePorts> = {}) =>
      siteState(
        { ...portsWith({}), limitsOf: () => of, refusedAt: () => refused, pools, ...more },
        "mx.example.net",
      );
    const suspended = { egress: "a", state: "suspended", untilMs: 9_000, why: "out of order" } as const;
    const said =
      "no address of the pool transactional may send there now; the site is left alone by a: out of order";

    test("the one that is suspended there holds up its pool's mail, though another one's goes", () => {
      expect(pooled([suspended, { egress: "b", state: "open" }])).toMatchObject({
        ...{ state: "slowed", untilMs: 9_000, why: said },
      });
      expect(pooled([suspended, { egress: "b", state: "slowed", why: "it was too much" }])).toMatchObject({
        ...{ state: "slowed", why: `${said}; it was too much` },
      });
    });

    test("the site is suspended when no pool sends, whatever is left of addresses that are in none any more", () => {
      const gone = { egress: "old", state: "open" } as const;
      expect(pooled([suspended, gone])).toMatchObject({ state: "suspended", why: "out of order" });
      expect(pooled([suspended, { ...suspended, egress: "b" }])).toMatchObject({ state: "suspended" });
    });

    test("what a rule sends by another pool waits for nothing", () => {
      const moved = { ...suspended, pool: "bulk", why: "what left from a leaves by the pool bulk" };
      expect(pooled([moved, { egress: "b", state: "open" }])?.state).toBe("open");
      expect(pooled([moved, { ...suspended, egress: "b" }])?.state).toBe("suspended");
    });

    test("the one that may not send is told by its pool, too", () => {
      const refused: Refused[] = [
        { egress: "a", traffic: "transactional", why: "a is out of its pool: listed" },
      ];
      const why =
        "no address of the pool transactional may send transactional mail now; a is out of its pool: listed";
      const b = { egress: "b", state: "open" } as const;
      expect(pooled([{ egress: "a", state: "open" }, b], refused)).toMatchObject({ state: "slowed", why });
    });

    test("a pool of two of which one is suspended is slowed", () => {
      const both = { pools: [{ name: "all", ids: ["a", "b"] }] };
      expect(pooled([suspended, { egress: "b", state: "open" }], [], both)).toMatchObject({
        ...{ state: "slowed", why: "the site is left alone by a: out of order" },
      });
    });
  });

  test("is the site where another address sends", () => {
    expect(rowOf([{ egress: "a", traffic: "bulk", why: "a is out of its pool: listed" }])).toMatchObject({
      state: "slowed",
      why: "it was too much (421 yesterday)",
    });
  });

  test("is told also of a site that is open, or that nothing was sent to; what may send nothing is suspended", () => {
    const refused = (traffic: "bulk" | "transactional") => ({ egress: "b", traffic, why: full });
    const open: SiteLimit[] = [{ egress: "b", state: "open" }];
    expect(rowOf([refused("bulk")], open)).toMatchObject({
      state: "slowed",
      why: expect.stringContaining(full),
    });
    expect(rowOf([refused("bulk"), refused("transactional")], open)?.state).toBe("suspended");
    const unsent = {
      ...{ ...portsWith({}), limitedSites: () => ["mx.example.net", "mx.example.net"] },
      refusedAt: () => [refused("bulk")],
    };
    expect(processState(unsent).sites).toMatchObject([
      { state: "slowed", why: expect.stringContaining(full) },
    ]);
  });
});
