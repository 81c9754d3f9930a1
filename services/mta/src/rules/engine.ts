import { type Measure, type OrganizationId, phrase, shortened } from "@tyto/contracts";
import { BoundedMap } from "@tyto/service";
import { campaignId } from "../holds/holds.ts";
import type { Observation } from "../observation.ts";
import { type Rule, shareOf } from "./rule.ts";
import { countAttempt, type ShareWindow } from "./share.ts";

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

/** What the engine remembers: times of matches and counts of attempts that wait for their threshold, and what is in force. All are bounded. */
export type EngineState = {
  matches: BoundedMap<string, number[]>;
  shares: BoundedMap<string, ShareWindow>;
  inForce: BoundedMap<string, number>;
};

/** Counts of matches, by rule and what the rule's action is about. */
const windowsMax = 20_000;
const inForceMax = 20_000;
const whyCharsMax = 300;
const textCharsMax = 1_000;

export const newEngineState = (): EngineState => ({
  matches: new BoundedMap(windowsMax),
  shares: new BoundedMap(windowsMax),
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
  if (reply === undefined || !isAt(rule, site)) return false;
  if (typeof when.code === "number" && when.code !== reply.code) return false;
  if (typeof when.code === "string" && when.code.charAt(0) !== String(reply.code).charAt(0)) return false;
  if (when.enhanced !== undefined && when.enhanced !== reply.enhanced) return false;
  if (when.reason !== undefined && when.reason !== reason) return false;
  return pattern === undefined || pattern.test(text);
}

/** Is the rule about replies of this site? */
const isAt = ({ when }: Rule, { id, provider }: Observation["site"]): boolean =>
  (when.provider === undefined || when.provider === provider) &&
  (when.site === undefined || when.site === id);

/** Does a rule by share count this answer, whatever it says? */
export const isCounted = (rule: Rule, site: Observation["site"]): boolean =>
  shareOf(rule) !== undefined && isAt(rule, site);

/** The text on one line: receivers break lines where they like. */
export const plainText = (text: string): string => text.slice(0, textCharsMax).replaceAll(/\s+/g, " ").trim();

/** Pure but for `state`, which it changes: what follows from one outcome. */
export function step(state: EngineState, rules: readonly CompiledRule[], observation: Observation): Effect[] {
  const isTaken = observation.outcome === "delivered";
  if (!isTaken && !isEvidence(observation)) return [];
  const text = isTaken ? "" : plainText(observation.reply?.text ?? "");
  const effects: Effect[] = [];
  for (const compiled of rules) {
    const isMatch = !isTaken && matches(compiled, observation, text);
    if (!isMatch && !isCounted(compiled.rule, observation.site)) continue;
    const effect = react(state, compiled.rule, observation, isMatch ? text : undefined);
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
export function begun({ matches, shares, inForce }: EngineState, measure: Measure): void {
  const key = `${measure.rule} ${subjectOfMeasure(measure)}`;
  inForce.set(key, measure.untilMs);
  matches.delete(key);
  shares.delete(key);
}

/** It is over, or a person ended it: what comes from now on counts anew. */
export function ended({ inForce }: EngineState, measure: Measure): void {
  inForce.delete(`${measure.rule} ${subjectOfMeasure(measure)}`);
}

const subjectOfMeasure = ({ egress, site }: Measure) => (egress === undefined ? site : `${egress} ${site}`);

/** `text` is that of a reply that matches; without it the attempt is only counted. */
function react(
  state: EngineState,
  rule: Rule,
  observation: Observation,
  text: string | undefined,
): Effect | undefined {
  const { atMs, site, egress, entry, reply } = observation;
  const subject = subjectOf(rule.action, observation);
  if (subject === undefined) return undefined;
  const key = `${rule.id} ${subject}`;
  // While it is in force, what was under way already must not make it longer.
  if ((state.inForce.get(key) ?? 0) > atMs) return undefined;
  const often = reached(state, rule, key, atMs, text !== undefined);
  if (often === undefined) return undefined;
  const untilMs = atMs + rule.forS * 1_000;
  state.inForce.set(key, untilMs);
  return {
    rule: rule.id,
    action: rule.action,
    atMs,
    untilMs,
    why: shortened(
      phrase("rule", { about: `${rule.about}${often}`, code: `${reply?.code}`, reply: text ?? "" }),
      whyCharsMax,
    ),
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

/** How often it matched, in words, once that is often enough within the time. At most `count` times are kept. */
function reached(
  { matches, shares }: EngineState,
  { threshold }: Rule,
  key: string,
  atMs: number,
  isMatch: boolean,
): string | undefined {
  if (threshold === "immediate") return "";
  if ("share" in threshold) {
    const window = shares.get(key) ?? [];
    const counted = countAttempt(window, atMs, isMatch, threshold.withinS * 1_000);
    shares.set(key, window);
    // What matches says why; it is judged when it comes.
    const isEnough = isMatch && counted.attempts >= threshold.attemptsMin;
    if (!isEnough || counted.matches < threshold.share * counted.attempts) return undefined;
    shares.delete(key);
    return ` (${counted.matches} of ${counted.attempts} attempts)`;
  }
  const { count, withinS } = threshold;
  const times = [...(matches.get(key) ?? []), atMs]
    .filter((time) => time > atMs - withinS * 1_000)
    .slice(-count);
  if (times.length < count) {
    matches.set(key, times);
    return undefined;
  }
  matches.delete(key);
  return ` (${count} times)`;
}
