import type { Measure, Reason, Reply, RuleState } from "@tyto/contracts";
import type { Observation } from "../observation.ts";
import {
  begun,
  compile,
  type Effect,
  ended,
  isBouncing,
  matches,
  newEngineState,
  plainText,
  step,
} from "./engine.ts";
import { type MeasurePorts, Measures } from "./measures.ts";
import type { Rule } from "./rule.ts";

export type RulesPorts = {
  rules: readonly Rule[];
  /** Ids of the rules that are ours; the others are the operator's. */
  shipped: ReadonlySet<string>;
  /** Does what a rule wants: `effects.ts`. `bounce` and `switch-pool` are asked for instead. */
  apply(effect: Effect): void;
  /** Where all processes keep what rules do with the mail of sites. */
  bucket: MeasurePorts["bucket"];
  now: () => number;
  log: MeasurePorts["log"];
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
  /** Limits that an operator sets for a site; Measures.limit. */
  limit: Measures["limit"];
  limitOf: Measures["limitOf"];
  /** What rules and operators do with the mail of sites now, the newest first; without a site, of all. */
  measures(site?: string): Measure[];
  /** Ends one of them, by its key, for all processes. False when there was none. */
  release(key: string): Promise<boolean>;
  /** What the bucket holds of them, from its watch. */
  restore(key: string, measure: Measure | undefined, revision: number): void;
  /** Removes those whose time is over; to be called every second or so. */
  tidy(): Promise<void>;
  status(): RuleState[];
};

/** Rules as data: what servers say, to what we do about it. */
export function createRules({ rules, shipped, apply, bucket, now, log }: RulesPorts): Rules {
  const compiled = compile(rules);
  const inUse = new Map(compiled.map(({ rule }) => [rule.id, rule]));
  const bouncing = compiled.filter(({ rule }) => rule.action === "bounce");
  const state = newEngineState();
  const fired = new Map<string, { count: number; atMs: number }>();
  const measures = new Measures({
    ...{ bucket, now, log },
    onBegun: (measure) => begun(state, measure),
    onEnded: (measure) => ended(state, measure),
  });

  const count = (rule: string, atMs: number) =>
    fired.set(rule, { count: (fired.get(rule)?.count ?? 0) + 1, atMs });
  /** A rule that was switched off since, or is not known here, moves nothing. */
  const isInUse = ({ rule, pool }: Measure) =>
    rule === undefined || (inUse.has(rule) && inUse.get(rule)?.pool === pool);

  return {
    see(observation) {
      for (const effect of step(state, compiled, observation)) {
        count(effect.rule, effect.atMs);
        // What is given up at the first match is so always: nothing begins.
        if (effect.action !== "bounce" || inUse.get(effect.rule)?.threshold !== "immediate")
          void measures.begin(effect);
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
      const found = measures.switchOf(egress, site);
      return found === undefined || !isInUse(found) ? undefined : found.pool;
    },

    limit: (wanted) => measures.limit(wanted),
    limitOf: (site) => measures.limitOf(site),
    measures: (site) =>
      measures.list().filter((one) => isInUse(one) && (site === undefined || one.site === site)),
    release: (key) => measures.release(key),
    restore: (key, measure, revision) => measures.restore(key, measure, revision),
    tidy: () => measures.tidy(),

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
