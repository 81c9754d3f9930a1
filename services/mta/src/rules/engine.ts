import type { Measure, OrganizationId } from "@tyto/contracts";
import { BoundedMap } from "@tyto/service";
import { campaignId } from "../holds/holds.ts";
import type { Observation } from "../observation.ts";
import type { Rule } from "./rule.ts";

/** What a rule wants done, for how long, and why in a sentence. */
export type Effect = {
  rule: string;
  action: Rule["action"];
  atMs: number;
  untilMs: number;
  why: string;
  egress: string;
  site: string;
  provider?: string;
  organizationId: OrganizationId;
  campaign?: string;
  pool?: string;
};

/** What the engine remembers: times of matches that wait for their threshold, and what is in force. Both are bounded. */
export type EngineState = {
  matches: BoundedMap<string, number[]>;
  inForce: BoundedMap<string, number>;
};

/** Counts of matches, by rule and what the rule's action is about. */
const windowsMax = 20_000;
const inForceMax = 20_000;
const whyCharsMax = 300;
const textCharsMax = 1_000;

export const newEngineState = (): EngineState => ({
  matches: new BoundedMap(windowsMax),
  inForce: new BoundedMap(inForceMax),
});

export type CompiledRule = { rule: Rule; pattern: RegExp | undefined };

export const compile = (rules: readonly Rule[]): CompiledRule[] =>
  rules
    .filter(({ enabled }) => enabled)
    .map((rule) => ({
      rule,
      pattern: rule.when.pattern === undefined ? undefined : new RegExp(rule.when.pattern, "iu"),
    }));

type Answer = Pick<Observation, "reply" | "reason" | "madeBy"> & { site: Observation["site"] };

/**
 * Only what a server said is evidence. What we decided ourselves (no connection, an expiry, a bounce of what the server only
 * put off) would let a rule see the consequences of its own action and go on for ever.
 */
export const isEvidence = ({ outcome, reply, madeBy }: Pick<Observation, "outcome" | "reply" | "madeBy">) =>
  madeBy === undefined && reply !== undefined && reply.code >= (outcome === "bounced" ? 500 : 400);

/** Does this reply have what the rule asks for? `text` is `plainText` of the reply. */
export function matches(
  { rule, pattern }: CompiledRule,
  { reply, reason, site }: Answer,
  text: string,
): boolean {
  const { when } = rule;
  if (reply === undefined) return false;
  if (when.provider !== undefined && when.provider !== site.provider) return false;
  if (when.site !== undefined && when.site !== site.id) return false;
  if (typeof when.code === "number" && when.code !== reply.code) return false;
  if (typeof when.code === "string" && when.code.charAt(0) !== String(reply.code).charAt(0)) return false;
  if (when.enhanced !== undefined && when.enhanced !== reply.enhanced) return false;
  if (when.reason !== undefined && when.reason !== reason) return false;
  return pattern === undefined || pattern.test(text);
}

/** The text on one line: receivers break lines where they like. */
export const plainText = (text: string): string => text.slice(0, textCharsMax).replaceAll(/\s+/g, " ").trim();

/** Pure but for `state`, which it changes: what follows from one outcome. */
export function step(state: EngineState, rules: readonly CompiledRule[], observation: Observation): Effect[] {
  if (observation.outcome === "delivered" || !isEvidence(observation)) return [];
  const text = plainText(observation.reply?.text ?? "");
  const effects: Effect[] = [];
  for (const compiled of rules) {
    if (!matches(compiled, observation, text)) continue;
    const effect = react(state, compiled.rule, observation, text);
    if (effect !== undefined) effects.push(effect);
  }
  return effects;
}

/** Is what matches this rule given up now? */
export function isBouncing(
  state: EngineState,
  { id, threshold, action }: Rule,
  site: string,
  nowMs: number,
): boolean {
  if (action !== "bounce") return false;
  return threshold === "immediate" || (state.inForce.get(`${id} ${site}`) ?? 0) > nowMs;
}

/** A rule does something now: here, in another process, or in one before this. It waits for its end before it does so again. */
export function begun({ matches, inForce }: EngineState, measure: Measure): void {
  const key = `${measure.rule} ${subjectOfMeasure(measure)}`;
  inForce.set(key, measure.untilMs);
  matches.delete(key);
}

/** It is over, or a person ended it: what comes from now on counts anew. */
export function ended({ inForce }: EngineState, measure: Measure): void {
  inForce.delete(`${measure.rule} ${subjectOfMeasure(measure)}`);
}

const subjectOfMeasure = ({ egress, site }: Measure) => (egress === undefined ? site : `${egress} ${site}`);

function react(state: EngineState, rule: Rule, observation: Observation, text: string): Effect | undefined {
  const { atMs, site, egress, entry, reply } = observation;
  const subject = subjectOf(rule.action, observation);
  if (subject === undefined) return undefined;
  const key = `${rule.id} ${subject}`;
  // While it is in force, what was under way already must not make it longer.
  if ((state.inForce.get(key) ?? 0) > atMs) return undefined;
  const times = reached(state, rule, key, atMs);
  if (times === undefined) return undefined;
  const untilMs = atMs + rule.forS * 1_000;
  state.inForce.set(key, untilMs);
  const often = times === 1 ? "" : ` (${times} times)`;
  return {
    rule: rule.id,
    action: rule.action,
    atMs,
    untilMs,
    why: `${rule.about}${often}: ${reply?.code} ${text}`.slice(0, whyCharsMax),
    egress: egress.id,
    site: site.id,
    ...(site.provider === undefined ? {} : { provider: site.provider }),
    organizationId: entry.organizationId,
    ...(entry.campaign === undefined ? {} : { campaign: entry.campaign }),
    ...(rule.pool === undefined ? {} : { pool: rule.pool }),
  };
}

/** What is counted together; absent where the action has nothing to be done to. */
function subjectOf(action: Rule["action"], { egress, site, entry }: Observation): string | undefined {
  switch (action) {
    case "suspend-site":
    case "slow-site":
    case "switch-pool":
      return `${egress.id} ${site.id}`;
    case "bounce":
      return site.id;
    case "hold-organization":
      return entry.organizationId;
    case "hold-organization-at-site":
      return `${entry.organizationId} ${site.id}`;
    case "hold-campaign":
      return campaignOf(entry);
    case "hold-campaign-at-site":
      return entry.campaign === undefined ? undefined : `${campaignOf(entry)} ${site.id}`;
  }
}

const campaignOf = ({ organizationId, campaign }: Observation["entry"]) =>
  campaign === undefined ? undefined : campaignId(organizationId, campaign);

/** How often it matched, once that is often enough within the time. At most `count` times are kept. */
function reached(
  { matches }: EngineState,
  { threshold }: Rule,
  key: string,
  atMs: number,
): number | undefined {
  if (threshold === "immediate") return 1;
  const { count, withinS } = threshold;
  const times = [...(matches.get(key) ?? []), atMs]
    .filter((time) => time > atMs - withinS * 1_000)
    .slice(-count);
  if (times.length < count) {
    matches.set(key, times);
    return undefined;
  }
  matches.delete(key);
  return count;
}
