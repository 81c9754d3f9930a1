import { type Fault, type Reason, reasons } from "@tyto/contracts";
import { literalsOf } from "./literals.ts";
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

type Pattern = { index: number; pattern: RegExp };
const patterns: RegExp[] = [];
const numbered = (found: readonly RegExp[]): Pattern[] =>
  found.map((pattern) => ({ index: patterns.push(pattern) - 1, pattern }));
/** The rules with their patterns by number. */
const matchers = rules.map((rule) => ({
  rule,
  sure: numbered(rule.sure),
  likely: numbered(rule.likely ?? []),
}));
/** Patterns of which nobody can say what they want, and those that want two letters from beyond ASCII. */
const always: number[] = [];
const beyondAscii: number[] = [];
/** Literals by the hash of their first three characters: each its codes, 0 for a fourth that is missing, and the pattern. */
const bucketCount = 4_096;
const buckets: (number[] | undefined)[] = Array.from({ length: bucketCount });
const hash = (a: number, b: number, c: number) => (a * 961 + b * 31 + c) & (bucketCount - 1);
const code = (text: string, at: number) => (at < text.length ? text.charCodeAt(at) : 0);

for (const [index, pattern] of patterns.entries()) {
  const literals = literalsOf(pattern);
  if (literals === undefined) always.push(index);
  for (const literal of literals ?? []) {
    if (literal.length < 3) {
      beyondAscii.push(index);
      continue;
    }
    const [a, b, c, d] = [code(literal, 0), code(literal, 1), code(literal, 2), code(literal, 3)];
    const bucket = buckets[hash(a, b, c)] ?? [];
    bucket.push(a, b, c, d, index);
    buckets[hash(a, b, c)] = bucket;
  }
}

/** One for each pattern that can match the text, 0 for the others. */
function possibleIn(text: string): Uint8Array {
  const possible = new Uint8Array(patterns.length);
  for (const index of always) possible[index] = 1;
  let [a, b, isAscii] = [code(text, 0), code(text, 1), true];
  for (let at = 2; at < text.length; at++) {
    const c = text.charCodeAt(at);
    const bucket = buckets[hash(a, b, c)];
    if (bucket !== undefined)
      for (let entry = 0; entry < bucket.length; entry += 5) {
        const [wantsA, wantsB, wantsC] = [bucket[entry], bucket[entry + 1], bucket[entry + 2]];
        const wantsD = bucket[entry + 3];
        const isThere = wantsA === a && wantsB === b && wantsC === c;
        if (isThere && (wantsD === 0 || wantsD === code(text, at + 1))) possible[bucket[entry + 4] ?? 0] = 1;
      }
    if (c > 127) isAscii = false;
    a = b;
    b = c;
  }
  if (!isAscii) for (const index of beyondAscii) possible[index] = 1;
  return possible;
}

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
  const possible = possibleIn(text);
  const isMatch = ({ index, pattern }: Pattern) => possible[index] === 1 && pattern.test(text);
  for (const { rule, sure, likely } of matchers) {
    // One by one: joined into one pattern they are too large for the compiler of patterns, and three times as slow.
    const words = sure.some(isMatch) ? weights.sure : likely.some(isMatch) ? weights.likely : 0;
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
