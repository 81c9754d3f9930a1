/** Whether bulk mail keeps the rules, and how that is said. */
import { Failure, type Traffic } from "@tyto/contracts";
import { type Asked, type Facts, rules } from "./rules.ts";

/**
 * What becomes of bulk mail that breaks a rule. An installation whose SITE_URL is this machine is somebody's trial: it
 * could keep none of them, so it warns.
 */
export type RulesMode = "refuse" | "warn";
export const modeOf = (siteUrl: string): RulesMode =>
  /^(localhost|.+\.localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(new URL(siteUrl).hostname)
    ? "warn"
    : "refuse";

/** Ids of the rules that a message breaks; transactional mail has none to keep. */
export const brokenRules = (facts: Facts, traffic: Traffic): string[] =>
  traffic === "bulk" ? rules.filter((rule) => rule.isBroken(facts)).map(({ id }) => id) : [];

const named = (ids: readonly string[]) => rules.filter(({ id }) => ids.includes(id));

/** The failure that refuses a message, with each broken rule and its fix. */
export const refusal = (ids: readonly string[], asked: Asked): Failure =>
  new Failure("bulk.refused", ids.join(" "), {
    hint: 'Mend what "errors" lists. A message that its recipient waits for, such as a receipt, is sent with "traffic": "transactional"',
    issues: named(ids).map(({ path, about, problem, fix }) => ({
      path,
      problem: `${problem(asked)}: ${fix(asked)} (${about})`,
    })),
  });

/** The same for people whose mail is sent nevertheless. */
export const warnings = (ids: readonly string[], asked: Asked): string[] =>
  named(ids).map(
    ({ problem, fix }) =>
      `Large receivers may refuse this as bulk mail, because ${problem(asked)}: ${fix(asked)}`,
  );
