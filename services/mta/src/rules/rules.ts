import type { Reason, Reply, RuleState } from "@tyto/contracts";
import { BoundedMap } from "@tyto/service";
import type { Observation } from "../observation.ts";
import { compile, type Effect, isBouncing, matches, newEngineState, plainText, step } from "./engine.ts";
import type { Rule } from "./rule.ts";

export type RulesPorts = {
  rules: readonly Rule[];
  /** Ids of the rules that are ours; the others are the operator's. */
  shipped: ReadonlySet<string>;
  /** Does what a rule wants: `effects.ts`. `bounce` and `switch-pool` are asked for instead. */
  apply(effect: Effect): void;
  now: () => number;
};

export type Rules = {
  see(observation: Observation): void;
  /** Asked before an attempt is put off: why it is given up instead, if a rule wants that. */
  bounces(
    site: Observation["site"],
    reason: Reason | undefined,
    reply: Reply | undefined,
  ): string | undefined;
  /** The pool that mail to the site leaves from, in place of that of this egress. */
  poolFor(egress: string, site: string): string | undefined;
  /** All pools that mail to the site leaves from now in place of others. */
  switchesOf(site: string): PoolSwitch[];
  status(): RuleState[];
};

/** Mail to a site leaves from this pool in place of that of `egress`. */
export type PoolSwitch = {
  egress: string;
  site: string;
  pool: string;
  rule: string;
  why: string;
  sinceMs: number;
  untilMs: number;
};

const switchesMax = 5_000;

/** Rules as data: what servers say, to what we do about it. */
export function createRules({ rules, shipped, apply, now }: RulesPorts): Rules {
  const compiled = compile(rules);
  const bouncing = compiled.filter(({ rule }) => rule.action === "bounce");
  const state = newEngineState();
  const fired = new Map<string, { count: number; atMs: number }>();
  const switches = new BoundedMap<string, PoolSwitch>(switchesMax);

  const count = (rule: string, atMs: number) =>
    fired.set(rule, { count: (fired.get(rule)?.count ?? 0) + 1, atMs });

  return {
    see(observation) {
      for (const effect of step(state, compiled, observation)) {
        count(effect.rule, effect.atMs);
        const { rule, egress, site, pool, why, atMs, untilMs } = effect;
        if (pool !== undefined)
          switches.set(`${egress} ${site}`, { rule, egress, site, pool, why, sinceMs: atMs, untilMs });
        apply(effect);
      }
    },

    bounces(site, reason, reply) {
      if (bouncing.length === 0 || reply === undefined) return undefined;
      const answer = { site, reply, ...(reason === undefined ? {} : { reason }) };
      const text = plainText(reply.text);
      const found = bouncing.find(
        (one) => isBouncing(state, one.rule, site.id, now()) && matches(one, answer, text),
      );
      if (found === undefined) return undefined;
      // What it gave up is no evidence for it, so nothing but this tells that an immediate rule did anything.
      if (found.rule.threshold === "immediate") count(found.rule.id, now());
      return `given up by the rule ${found.rule.id}: ${found.rule.about}`;
    },

    poolFor(egress, site) {
      const found = switches.get(`${egress} ${site}`);
      return found === undefined || found.untilMs <= now() ? undefined : found.pool;
    },

    switchesOf: (site) => [...switches.values()].filter((one) => one.site === site && one.untilMs > now()),

    status: () =>
      rules.map((rule) => {
        const { count = 0, atMs } = fired.get(rule.id) ?? {};
        return {
          rule: rule.id,
          origin: shipped.has(rule.id) ? "shipped" : "own",
          say: rule.about,
          isOn: rule.enabled,
          definition: rule,
          fired: count,
          ...(atMs === undefined ? {} : { firedAtMs: atMs }),
        };
      }),
  };
}
