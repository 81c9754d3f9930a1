import type { Bus } from "@tyto/bus";
import {
  type ControlAnswer,
  type ControlRequest,
  phrase,
  providerOf,
  type RuleTrial,
  type StoredEvent,
} from "@tyto/contracts";
import { BoundedMap } from "@tyto/service";
import type { Observation } from "../observation.ts";
import { compile, isCounted, isEvidence, matches, newEngineState, plainText, step } from "./engine.ts";
import { parseRules } from "./file.ts";
import { type Rule, shareOf } from "./rule.ts";

/** In this order: `bus.past` reads one subject after the other, and campaigns stand in the first. */
const trialSubjects = ["mail.accepted", "mail.deferred", "mail.bounced"] as const;
/** Rules by share count what was taken, too. */
const shareSubjects = [...trialSubjects, "mail.delivered"] as const;
export type TrialEvent = Extract<StoredEvent, { subject: (typeof shareSubjects)[number] }>;

/** Messages whose campaign is remembered within one trial. */
const campaignsMax = 50_000;
/** Answers that some rule matches, or counts: they are kept to be put in order. */
const matchesMax = 50_000;
const actionsShownMax = 20;

/**
 * Answers the question what rules would have done to the events since a time: those that are given, else those in use. Throws
 * Failure `upstream.down`.
 */
export const tryRules =
  (past: Bus["past"], inUse: readonly Rule[]) =>
  async (request: ControlRequest<"mta.rules-trial">): Promise<ControlAnswer<"mta.rules-trial">> => {
    const given = request.rules === undefined ? { rules: inUse, problems: [] } : parseRules(request.rules);
    const trial = createTrial(given.rules);
    await past(
      given.rules.some((rule) => shareOf(rule) !== undefined) ? shareSubjects : trialSubjects,
      { sinceMs: request.sinceMs, untilSequence: Number.MAX_SAFE_INTEGER },
      trial.feed,
    );
    const { events, trials, problems } = trial.result();
    return { events, trials, problems: [...given.problems, ...problems].slice(0, 100) };
  };

/**
 * A trial of rules over past events. Each is tried for itself, also when it is switched off. What it would have changed in what
 * followed nobody can know: a site that a rule had left alone would have said less.
 */
export function createTrial(rules: readonly Rule[]) {
  const tried = rules.map((rule) => compile([{ ...rule, enabled: true }]));
  const campaigns = new BoundedMap<string, Pick<Observation["entry"], "campaign" | "traffic">>(campaignsMax);
  const found: { observation: Observation; rules: { index: number; isMatch: boolean }[] }[] = [];
  let events = 0;
  let left = 0;

  return {
    feed(event: TrialEvent): void {
      if (event.subject === "mail.accepted") {
        const { messageId, campaign, traffic } = event.payload;
        if (campaign !== undefined)
          campaigns.set(messageId, { campaign, ...(traffic === undefined ? {} : { traffic }) });
        return;
      }
      events += 1;
      const observation = observationOf(event, campaigns.get(event.payload.messageId) ?? {});
      if (observation === undefined) return;
      const isTaken = observation.outcome === "delivered";
      if (!isTaken && !isEvidence(observation)) return;
      const text = plainText(observation.reply?.text ?? "");
      const concerned = tried.flatMap((compiled, index) => {
        const isMatch = !isTaken && compiled.some((one) => matches(one, observation, text));
        return isMatch || compiled.some(({ rule }) => isCounted(rule, observation.site))
          ? [{ index, isMatch }]
          : [];
      });
      if (concerned.length === 0) return;
      if (found.length < matchesMax) found.push({ observation, rules: concerned });
      else left += 1;
    },

    result(): { events: number; trials: RuleTrial[]; problems: string[] } {
      const states = rules.map(newEngineState);
      const trials: RuleTrial[] = rules.map(({ id }) => ({ rule: id, matched: 0, fired: 0, actions: [] }));
      for (const { observation, rules } of found.toSorted((a, b) => a.observation.atMs - b.observation.atMs))
        for (const { index, isMatch } of rules) {
          const [trial, compiled, state] = [trials[index], tried[index], states[index]];
          if (trial === undefined || compiled === undefined || state === undefined) continue;
          if (isMatch) trial.matched += 1;
          for (const { atMs, action, site, why } of step(state, compiled, observation)) {
            trial.fired += 1;
            if (trial.actions.length < actionsShownMax)
              trial.actions.push({ atMs, say: phrase("rule.action", { action, site, why }).slice(0, 500) });
          }
        }
      const problems =
        left === 0 ? [] : [`${left} further replies matched and were left out: try a shorter time`];
      return { events, trials, problems };
    },
  };
}

/** An event of an attempt, as those saw it who learn from attempts; what a report told is none. */
function observationOf(
  event: Exclude<TrialEvent, { subject: "mail.accepted" }>,
  about: Pick<Observation["entry"], "campaign" | "traffic">,
): Observation | undefined {
  const { payload } = event;
  if ("source" in payload && payload.source === "dsn") return undefined;
  const { deliveryId, messageId, organizationId, recipient, attempt = 1, conversation, reply } = payload;
  if (conversation === undefined) return undefined;
  const provider = providerOf("@", conversation.mx);
  const isKnown = provider !== "unknown";
  const common = {
    atMs: payload.at,
    entry: { deliveryId, messageId, organizationId, recipient, attempt, ...about },
    site: isKnown ? { id: provider, provider } : { id: conversation.mx },
    egress: { id: conversation.localIp ?? "default" },
  };
  // Of what was taken only the number counts, and there is much of it.
  if (event.subject === "mail.delivered") return { ...common, outcome: "delivered" };
  return {
    ...common,
    outcome: event.subject === "mail.deferred" ? "deferred" : "bounced",
    reason: event.payload.reason,
    ...(reply === undefined ? {} : { reply }),
    conversation,
  };
}
