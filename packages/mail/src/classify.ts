import { type Fault, type Reason, reasons } from "@tyto/contracts";
import { dialects, type Provider } from "./providers.ts";
import { rules } from "./reasons/index.ts";
import type { Rule } from "./reasons/rule.ts";

/** What one refusal means. `confidence` is 0 to 1; below 0.5 it is a guess by the class of the code alone. */
export type Classification = { reason: Reason; fault: Fault; hard: boolean; confidence: number };

/** A refusal from an SMTP reply or from one recipient's fields of a report. `code` is absent where no SMTP spoke. */
export type Refusal = {
  isPermanent: boolean;
  code?: number;
  status?: string;
  text: string;
  provider?: Provider;
};

const weights = { sure: 6, likely: 3, status: 2, code: 1 };
const textCharsMax = 2_000;

/**
 * Weighs every rule against the refusal. Words outweigh status codes, because servers give `5.7.1` and `5.1.1` for
 * almost anything, and their words are written for people. Between equals the earlier rule wins: those that would
 * suppress an address stand last.
 */
export function classify(refusal: Refusal): Classification {
  const text = normalize(refusal.text);
  const dialect = refusal.provider === undefined ? undefined : dialects[refusal.provider];
  const [, meant] = dialect?.find(([pattern]) => pattern.test(text)) ?? [];
  if (meant !== undefined) return result(meant, refusal.isPermanent, 0.98);
  let first: { rule: Rule; score: number } | undefined;
  let second: { rule: Rule; score: number } | undefined;
  for (const rule of rules) {
    // One by one: joined into one pattern they are too large for the compiler of patterns, and three times as slow.
    const words = rule.sure.some((pattern) => pattern.test(text))
      ? weights.sure
      : rule.likely?.some((pattern) => pattern.test(text))
        ? weights.likely
        : 0;
    const status = hasStatus(rule.statuses, refusal.status) ? weights.status : 0;
    const code = refusal.code !== undefined && rule.codes?.includes(refusal.code) ? weights.code : 0;
    const score = words + status + code;
    if (first === undefined || score > first.score) [first, second] = [{ rule, score }, first];
    else if (second === undefined || score > second.score) second = { rule, score };
  }
  if (first === undefined || first.score === 0) {
    const reason = refusal.isPermanent ? "unclear" : "receiver.busy";
    return result(reason, refusal.isPermanent, refusal.isPermanent ? 0.3 : 0.45);
  }
  const isDisputed =
    second !== undefined &&
    second.score >= first.score - 1 &&
    second.score > 0 &&
    reasons[second.rule.reason].fault !== reasons[first.rule.reason].fault;
  return result(first.rule.reason, refusal.isPermanent, certainty(first.score) - (isDisputed ? 0.2 : 0));
}

function result(reason: Reason, isPermanent: boolean, confidence: number): Classification {
  const { fault, hard } = reasons[reason];
  return { reason, fault, hard: isPermanent && hard, confidence: Math.round(confidence * 100) / 100 };
}

function certainty(score: number): number {
  if (score >= weights.sure + weights.status) return 0.98;
  if (score >= weights.sure) return 0.95;
  if (score >= weights.likely + weights.status) return 0.85;
  if (score >= weights.likely) return 0.75;
  return score >= weights.status ? 0.6 : 0.4;
}

/** A rule names statuses with their class (`5.4.1`) or for both classes (`1.1`). */
function hasStatus(statuses: readonly string[], status: string | undefined): boolean {
  return status !== undefined && (statuses.includes(status) || statuses.includes(status.slice(2)));
}

/** One line of plain spaces, straight quotes and small letters, so that patterns need not know how a server wrote its text. */
function normalize(text: string): string {
  return text.slice(0, textCharsMax).toLowerCase().replace(/[‘’]/g, "'").replace(/\s+/g, " ");
}
