import type { RuleView } from "@tyto/contracts";
import { isRecord } from "./record.ts";

/** What a rule looks at and does, as far as its definition says so in the words that are known here. */
export type RuleFacts = {
  /** Names and values of what has to hold, such as `provider` and `google`. */
  when: { name: string; value: string }[];
  threshold?:
    | { count: number; withinS: number }
    | { share: number; attemptsMin: number; withinS: number }
    | "immediate";
  action?: string;
  forS?: number;
  pool?: string;
};

export function ruleFacts({ definition }: Pick<RuleView, "definition">): RuleFacts {
  const { when, threshold, action, forS, pool } = definition;
  return {
    when: isRecord(when) ? Object.entries(when).map(([name, value]) => ({ name, value: String(value) })) : [],
    ...thresholdOf(threshold),
    ...(typeof action === "string" ? { action } : {}),
    ...(typeof forS === "number" ? { forS } : {}),
    ...(typeof pool === "string" ? { pool } : {}),
  };
}

function thresholdOf(threshold: unknown): Pick<RuleFacts, "threshold"> {
  if (threshold === "immediate") return { threshold };
  if (!isRecord(threshold)) return {};
  const { count, share, attemptsMin, withinS } = threshold;
  if (typeof share === "number" && typeof attemptsMin === "number" && typeof withinS === "number")
    return { threshold: { share, attemptsMin, withinS } };
  return typeof count === "number" && typeof withinS === "number" ? { threshold: { count, withinS } } : {};
}

/** Own rules first, then those that have fired, the latest first, then the others as they come. */
export function sortedRules(rules: readonly RuleView[]): RuleView[] {
  const rank = ({ origin, fired }: RuleView) => (origin === "own" ? 0 : fired > 0 ? 1 : 2);
  return rules.toSorted(
    (one, other) => rank(one) - rank(other) || (other.fired_at ?? "").localeCompare(one.fired_at ?? ""),
  );
}

export const ruleFilters = ["all", "fired", "own", "off"] as const;
export type RuleFilter = (typeof ruleFilters)[number];

/** Rules of a kind whose id or text has the words in it; `say` gives the text as the page shows it. */
export function matchingRules(
  rules: readonly RuleView[],
  filter: RuleFilter,
  words: string,
  say: (rule: RuleView) => string = (rule) => rule.say,
): RuleView[] {
  const wanted = words.toLowerCase();
  return rules.filter((rule) => {
    if (filter === "fired" && rule.fired === 0) return false;
    if (filter === "own" && rule.origin !== "own") return false;
    if (filter === "off" && rule.is_on) return false;
    return `${rule.rule} ${say(rule)}`.toLowerCase().includes(wanted);
  });
}
