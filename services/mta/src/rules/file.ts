import { z } from "zod";
import { pack } from "./pack/index.ts";
import { Rule } from "./rule.ts";

export type RuleSet = { rules: readonly Rule[]; shipped: ReadonlySet<string> };

const ownRulesMax = 500;
const problemsShownMax = 20;

const RuleFile = z.strictObject({
  /** Ids of shipped rules that are not wanted. */
  off: z.array(z.string()).max(ownRulesMax).default([]),
  /** Shipped rules that are off unless named here. */
  on: z.array(z.string()).max(ownRulesMax).default([]),
  /** Further rules; one with the id of a shipped rule takes its place. */
  rules: z.array(z.unknown()).max(ownRulesMax).default([]),
});

/** The shipped rules as they are without a file. */
export const shippedRules = (): RuleSet => ({
  rules: pack.map(({ examples: _proof, ...rule }) => rule),
  shipped: new Set(pack.map(({ id }) => id)),
});

/**
 * Reads the operator's file: `{"off": ["gmail-slow"], "on": [], "rules": [{...}]}`. Throws TypeError that names every rule that is
 * wrong, and what is wrong with it.
 */
export function parseRuleFile(text: string): RuleSet {
  const file = RuleFile.safeParse(jsonOf(text));
  if (!file.success) throw new TypeError(z.prettifyError(file.error));
  const { off, on } = file.data;
  const { rules: own, problems } = parseRules(file.data.rules);
  const known = new Set(pack.map(({ id }) => id));
  for (const id of [...off, ...on])
    if (!known.has(id)) problems.push(`${id}: there is no shipped rule of this name`);
  if (problems.length > 0) throw new TypeError(problems.slice(0, problemsShownMax).join("; "));
  const replaced = new Set(own.map(({ id }) => id));
  const ours = shippedRules()
    .rules.filter(({ id }) => !replaced.has(id))
    .map((rule) => ({ ...rule, enabled: on.includes(rule.id) || (rule.enabled && !off.includes(rule.id)) }));
  return { rules: [...ours, ...own], shipped: new Set(ours.map(({ id }) => id)) };
}

/** Rules as somebody wrote them; `problems` has a sentence for each that is wrong. */
export function parseRules(given: readonly unknown[]): { rules: Rule[]; problems: string[] } {
  const rules: Rule[] = [];
  const problems: string[] = [];
  for (const [index, one] of given.entries()) {
    const read = Rule.safeParse(one);
    const { id } = one !== null && typeof one === "object" && "id" in one ? one : {};
    const name = typeof id === "string" ? id : `rule ${index + 1}`;
    if (!read.success)
      for (const { path, message } of read.error.issues)
        problems.push(`${[name, ...path].join(".")}: ${message}`);
    else if (rules.some((rule) => rule.id === read.data.id)) problems.push(`${name}: stands there twice`);
    else rules.push(read.data);
  }
  return { rules, problems };
}

/** Rules that are on and send mail by a pool that there is not. */
export const poolProblems = (
  { rules }: RuleSet,
  { pools }: { pools: readonly { name: string }[] },
): string[] =>
  rules
    .filter(({ enabled, pool }) => enabled && pool !== undefined && !pools.some(({ name }) => name === pool))
    .map(
      ({ id, pool }) =>
        `MTA_RULES_FILE: the rule ${id} sends mail by the pool ${pool}; add [pool.${pool}] to MTA_EGRESS_FILE, or switch the rule off`,
    );

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new TypeError(`is no JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}
