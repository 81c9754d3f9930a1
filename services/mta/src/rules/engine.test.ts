import { describe, expect, test } from "bun:test";
import { Address, DeliveryId, defaultOrganization, MessageId, OrganizationId } from "@tyto/contracts";
import { createStore } from "../joint-records.testing.ts";
import type { Observation } from "../observation.ts";
import { applyEffects } from "./effects.ts";
import { compile, newEngineState, step } from "./engine.ts";
import { Rule } from "./rule.ts";
import { createRules } from "./rules.ts";

const rule = (more: Record<string, unknown> = {}) =>
  Rule.parse({
    id: "no",
    about: "The receiver says no",
    when: { pattern: "no more of this" },
    threshold: { count: 3, withinS: 60 },
    action: "suspend-site",
    forS: 600,
    ...more,
  });

const observation = (
  more: Partial<Observation> = {},
  entry: Partial<Observation["entry"]> = {},
): Observation => ({
  atMs: 1_000_000,
  entry: {
    deliveryId: DeliveryId.parse("01ke70ehg0abcdefghjkmnpqrs-0"),
    messageId: MessageId.parse("01ke70ehg0abcdefghjkmnpqrs"),
    organizationId: defaultOrganization,
    recipient: Address.parse("bob@example.net"),
    attempt: 1,
    ...entry,
  },
  site: { id: "google", provider: "google" },
  egress: { id: "192.0.2.1" },
  outcome: "deferred",
  reason: "policy.refused",
  reply: { code: 451, enhanced: "4.7.1", text: "No more\nof this" },
  ...more,
});

/** Effects of outcomes at these seconds. */
function run(rules: Rule[], seconds: readonly number[], more: Partial<Observation> = {}) {
  const state = newEngineState();
  const compiled = compile(rules);
  return seconds.flatMap((second) => step(state, compiled, observation({ ...more, atMs: second * 1_000 })));
}

describe("a rule fires", () => {
  test("when so many came within the time, says why, and when it ends", () => {
    expect(run([rule()], [0, 59])).toEqual([]);
    expect(run([rule()], [0, 10, 20])).toEqual([
      {
        rule: "no",
        action: "suspend-site",
        atMs: 20_000,
        untilMs: 620_000,
        why: "The receiver says no (3 times): 451 No more of this",
        egress: "192.0.2.1",
        site: "google",
        provider: "google",
        organizationId: defaultOrganization,
      },
    ]);
  });

  test("not when they came too far apart", () => {
    expect(run([rule()], [0, 30, 61, 95, 130, 170])).toEqual([]);
  });

  test("once while it is in force, and again after that only when it is reached again", () => {
    const fired = run([rule()], [0, 1, 2, 3, 4, 5, 100, 601, 603, 604, 605]);
    expect(fired.map(({ atMs }) => atMs / 1_000)).toEqual([2, 605]);
  });

  test("at the first time, when it is immediate", () => {
    expect(run([rule({ threshold: "immediate" })], [7])).toHaveLength(1);
  });

  test("not when it is switched off", () => {
    expect(run([rule({ threshold: "immediate", enabled: false })], [7])).toEqual([]);
  });

  test.each<[string, Record<string, unknown>, boolean]>([
    ["its provider", { provider: "google" }, true],
    ["another provider", { provider: "yahoo" }, false],
    ["its site", { site: "google" }, true],
    ["another site", { site: "mx.example.net" }, false],
    ["its code", { code: 451 }, true],
    ["another code", { code: 450 }, false],
    ["the class of its code", { code: "4xx" }, true],
    ["the other class", { code: "5xx" }, false],
    ["its enhanced code", { enhanced: "4.7.1" }, true],
    ["another enhanced code", { enhanced: "4.7.10" }, false],
    ["its reason", { reason: "policy.refused" }, true],
    ["another reason", { reason: "greylisted" }, false],
    ["words over several lines", { pattern: "no more of this" }, true],
    ["other words", { pattern: "plenty" }, false],
  ])("by %s", (_name, when, isMatch) => {
    const only = "pattern" in when ? when : { pattern: "no more", ...when };
    expect(run([rule({ threshold: "immediate", when: only })], [1])).toHaveLength(isMatch ? 1 : 0);
  });
});

describe("a rule by share", () => {
  const share = { threshold: { share: 0.2, attemptsMin: 10, withinS: 100 } };
  const taken: Partial<Observation> = { outcome: "delivered" };
  /** Outcomes a second apart: `x` matches, `.` is taken, `o` says something else, `-` was no answer. */
  const answers: Record<string, Partial<Observation>> = {
    x: {},
    ".": taken,
    o: { reply: { code: 450, text: "greylisted" } },
    "-": { outcome: "deferred", reason: "network.unreachable" },
  };
  const fired = (pattern: string, rules = [rule(share)], more: Partial<Observation> = {}) => {
    const state = newEngineState();
    const compiled = compile(rules);
    return [...pattern].flatMap((letter, second) => {
      const { reply, ...seen } = observation({ ...more, ...answers[letter], atMs: second * 1_000 });
      const isAnswer = letter !== "-" && letter !== ".";
      return step(state, compiled, isAnswer && reply !== undefined ? { ...seen, reply } : seen);
    });
  };

  test("fires when so great a part of so many attempts matches, and says how many", () => {
    expect(fired("x........")).toEqual([]);
    expect(fired("x.......x")).toEqual([]);
    expect(fired("........x.x")).toEqual([]);
    expect(fired("........xx")).toMatchObject([
      { atMs: 9_000, why: "The receiver says no (2 of 10 attempts): 451 No more of this" },
    ]);
  });

  test("counts every answer, and nothing that was none", () => {
    expect(fired("oooo....xx")).toHaveLength(1);
    expect(fired("oooooo....xx")).toEqual([]);
    expect(fired("------....xx")).toEqual([]);
  });

  test("begins anew after it fired, and forgets what is older than its time", () => {
    expect(fired("........xxxxxxxxxxxxxxxxxxxx")).toHaveLength(1);
    expect(fired(`${".".repeat(30)}${"-".repeat(120)}xxxxxxxxxx`).map(({ atMs }) => atMs)).toEqual([159_000]);
  });

  test("is of what goes to its provider, per what is done about it", () => {
    const elsewhere = { site: { id: "yahoo", provider: "yahoo" } };
    const atGoogle = rule({ ...share, when: { provider: "google", pattern: "no more of this" } });
    expect(fired("........xx", [atGoogle])).toHaveLength(1);
    expect(fired("........xx", [atGoogle], elsewhere)).toEqual([]);

    const state = newEngineState();
    const compiled = compile([rule({ ...share, action: "hold-campaign-at-site" })]);
    const see = (campaign: string, more: Partial<Observation>) =>
      step(state, compiled, observation(more, { campaign }));
    for (let n = 0; n < 100; n++) see("autumn", taken);
    for (let n = 0; n < 8; n++) see("spring", taken);
    expect(see("spring", {})).toEqual([]);
    expect(see("spring", {})).toMatchObject([{ campaign: "spring", site: "google" }]);
  });

  test.each([
    { share: 0, attemptsMin: 10, withinS: 60 },
    { share: 1.1, attemptsMin: 10, withinS: 60 },
    { share: 0.2, attemptsMin: 9, withinS: 60 },
    { share: 0.2, withinS: 60 },
    { share: 0.2, attemptsMin: 10, withinS: 60, count: 3 },
  ])("is refused as %j", (threshold) => {
    expect(() => rule({ threshold })).toThrow();
  });
});

describe("what is counted together depends on what would be done", () => {
  const counted = (
    action: Rule["action"],
    observations: Observation[],
    more: Record<string, unknown> = {},
  ) => {
    const state = newEngineState();
    const compiled = compile([rule({ action, threshold: { count: 2, withinS: 60 }, ...more })]);
    return observations.flatMap((one) => step(state, compiled, one)).length;
  };
  const elsewhere = { site: { id: "yahoo", provider: "yahoo" } };
  const other = OrganizationId.parse("acme");

  test("sites by address and site", () => {
    expect(counted("suspend-site", [observation(), observation(elsewhere)])).toBe(0);
    expect(counted("slow-site", [observation(), observation({ egress: { id: "192.0.2.2" } })])).toBe(0);
    expect(counted("slow-site", [observation(), observation({}, { organizationId: other })])).toBe(1);
  });

  test("organisations over all sites", () => {
    expect(counted("hold-organization", [observation(), observation(elsewhere)])).toBe(1);
    expect(counted("hold-organization", [observation(), observation({}, { organizationId: other })])).toBe(0);
  });

  test("senders at a site by sender and site", () => {
    const spring = { campaign: "spring" };
    for (const [action, entry] of [
      ["hold-organization-at-site", {}],
      ["hold-campaign-at-site", spring],
    ] as const) {
      expect(counted(action, [observation({}, entry), observation(elsewhere, entry)])).toBe(0);
      expect(counted(action, [observation({}, entry), observation({ egress: { id: "b" } }, entry)])).toBe(1);
      const another = { ...entry, organizationId: other };
      expect(counted(action, [observation({}, entry), observation({}, another)])).toBe(0);
    }
    expect(counted("hold-campaign-at-site", [observation(), observation()])).toBe(0);
  });

  test("campaigns within their organisation; mail without one is left alone", () => {
    const spring = { campaign: "spring" };
    expect(counted("hold-campaign", [observation(), observation()])).toBe(0);
    expect(counted("hold-campaign", [observation({}, spring), observation(elsewhere, spring)])).toBe(1);
    expect(
      counted("hold-campaign", [
        observation({}, spring),
        observation({}, { ...spring, organizationId: other }),
      ]),
    ).toBe(0);
  });
});

describe("no rule feeds itself", () => {
  const greedy = [
    rule({ id: "any-4xx", when: { code: "4xx" }, threshold: "immediate" }),
    rule({ id: "any-5xx", when: { code: "5xx" }, threshold: "immediate" }),
    rule({ id: "any-expiry", when: { reason: "expired" }, threshold: "immediate" }),
    rule({ id: "any-silence", when: { reason: "network.unreachable" }, threshold: "immediate" }),
    rule({
      id: "own-words",
      when: { pattern: "the receiver says no|held by|given up by the rule" },
      threshold: "immediate",
    }),
  ];

  test.each<[string, Partial<Observation>]>([
    ["a bounce that a rule made", { outcome: "bounced", madeBy: "rule" }],
    ["a bounce of what the server only put off", { outcome: "bounced" }],
    ["an expiry", { outcome: "bounced", reason: "expired" }],
    ["no connection", { reason: "network.unreachable", reply: undefined as never }],
    ["what was delivered", { outcome: "delivered", reply: { code: 250, text: "no more of this" } }],
  ])("%s is no evidence", (_name, more) => {
    const { reply, ...rest } = { ...observation(), ...more };
    const seen = { ...rest, ...(reply === undefined ? {} : { reply }) } as Observation;
    expect(step(newEngineState(), compile(greedy), seen)).toEqual([]);
  });

  test("what a rule stopped brings no further effects, and none that lasts longer, however much was under way", () => {
    const state = newEngineState();
    const compiled = compile(greedy);
    const first = step(state, compiled, observation({ atMs: 0 }));
    expect(first.map(({ untilMs }) => untilMs)).toEqual([600_000]);
    for (let second = 1; second < 600; second++)
      expect(step(state, compiled, observation({ atMs: second * 1_000 }))).toEqual([]);
    // Nothing is sent while it is in force; afterwards it is the probe's answer that counts, and nothing before.
    expect(step(state, compiled, observation({ atMs: 600_000 }))).toHaveLength(1);
  });
});

test("what a rule remembers is bounded, whatever comes", () => {
  const state = newEngineState();
  const compiled = compile([rule(), rule({ id: "immediate", threshold: "immediate" })]);
  for (let i = 0; i < 30_000; i++)
    step(state, compiled, observation({ atMs: i, site: { id: `mx${i}.example.com` } }));
  expect(state.matches.size).toBe(20_000);
  expect(state.inForce.size).toBe(20_000);
  for (let i = 0; i < 1_000; i++) step(state, compiled, observation({ atMs: 1_000_000 + i }));
  expect(Math.max(...Array.from(state.matches.values(), (times) => times.length))).toBeLessThanOrEqual(3);
});

describe("effects", () => {
  const doing = () => {
    const done: unknown[] = [];
    const clock = { nowMs: 0 };
    const apply = applyEffects(
      {
        suspend: (...what) => void done.push(["suspend", ...what]),
        slow: (...what) => void done.push(["slow", ...what]),
      },
      {
        hold: async (hold) => {
          done.push(["hold", hold]);
          return { ...hold, key: "k", sinceMs: 0 };
        },
      },
      { warn() {}, info() {} },
    );
    const rulesOf = (...rules: Rule[]) =>
      createRules({
        ...{ rules, shipped: new Set(["no"]), apply, bucket: createStore(), now: () => clock.nowMs },
        log: { warn() {} },
      });
    return { done, clock, rulesOf };
  };
  const immediate = (action: Rule["action"], more: Record<string, unknown> = {}) =>
    rule({ action, threshold: "immediate", ...more });

  test("reach the limits of the site or the holds, each with an end and a sentence", () => {
    const { done, rulesOf } = doing();
    rulesOf(
      immediate("suspend-site"),
      immediate("slow-site", { id: "b" }),
      immediate("hold-organization", { id: "c" }),
      immediate("hold-campaign", { id: "d" }),
      immediate("hold-organization-at-site", { id: "e" }),
      immediate("hold-campaign-at-site", { id: "f" }),
    ).see(observation({ atMs: 0 }, { campaign: "spring" }));
    const why = "The receiver says no: 451 No more of this";
    const key = { egress: "192.0.2.1", site: "google" };
    expect(done).toEqual([
      ["suspend", key, "google", 600_000, why],
      ["slow", key, "google", why],
      ["hold", { scope: "organization", id: "default", why, by: "rule:c", untilMs: 600_000 }],
      ["hold", { scope: "campaign", id: "default/spring", why, by: "rule:d", untilMs: 600_000 }],
      ["hold", { scope: "organization", id: "default", site: "google", why, by: "rule:e", untilMs: 600_000 }],
      [
        "hold",
        { scope: "campaign", id: "default/spring", site: "google", why, by: "rule:f", untilMs: 600_000 },
      ],
    ]);
  });

  test("of a bounce rule: what matches is given up, at once or as long as it is in force", () => {
    const { rulesOf, clock } = doing();
    const { site, reason, reply } = observation();
    const harmless = { code: 451, text: "Greylisted" };
    const now = rulesOf(immediate("bounce"));
    expect(now.bounces(site, reason, reply)).toBe("given up by the rule no: The receiver says no");
    expect(now.bounces(site, "greylisted", harmless)).toBeUndefined();
    expect(now.status()).toMatchObject([{ fired: 1, firedAtMs: 0 }]);
    const later = rulesOf(rule({ action: "bounce", threshold: { count: 2, withinS: 60 } }));
    expect(later.bounces(site, reason, reply)).toBeUndefined();
    later.see(observation({ atMs: 0 }));
    later.see(observation({ atMs: 1_000 }));
    expect(later.bounces(site, reason, reply)).toBeDefined();
    expect(later.bounces({ id: "yahoo" }, reason, reply)).toBeUndefined();
    clock.nowMs = 601_000;
    expect(later.bounces(site, reason, reply)).toBeUndefined();
  });

  test("of a switch: the other pool, for this address and site, until it ends", () => {
    const { rulesOf, clock } = doing();
    const rules = rulesOf(immediate("switch-pool", { pool: "overflow" }));
    expect(rules.poolFor("192.0.2.1", "google")).toBeUndefined();
    rules.see(observation({ atMs: 0 }));
    expect(rules.poolFor("192.0.2.1", "google")).toBe("overflow");
    expect(rules.poolFor("192.0.2.2", "google")).toBeUndefined();
    expect(rules.measures("google")).toEqual([
      {
        ...{ key: "switch-pool:192.0.2.1/google", action: "switch-pool" },
        ...{ egress: "192.0.2.1", site: "google", pool: "overflow", rule: "no" },
        ...{ why: "The receiver says no: 451 No more of this", sinceMs: 0, untilMs: 600_000 },
      },
    ]);
    expect(rules.measures("yahoo")).toEqual([]);
    clock.nowMs = 600_000;
    expect(rules.poolFor("192.0.2.1", "google")).toBeUndefined();
    expect(rules.measures("google")).toEqual([]);
  });

  test("are counted, and shown with the rule", () => {
    const { rulesOf } = doing();
    const rules = rulesOf(immediate("slow-site"), rule({ id: "own", enabled: false }));
    rules.see(observation({ atMs: 5 }));
    expect(rules.status()).toEqual([
      expect.objectContaining({ rule: "no", origin: "shipped", isOn: true, fired: 1, firedAtMs: 5 }),
      expect.objectContaining({ rule: "own", origin: "own", isOn: false, fired: 0 }),
    ]);
  });
});
