import type { Reason } from "@tyto/contracts";

/**
 * How one reason shows in refusals. A new text of some server is one more pattern here and one more line in
 * fixtures/replies. Patterns see one line with single spaces; they are case-insensitive and must not backtrack: gaps
 * are bounded (`.{0,40}`), never nested.
 */
export type Rule = {
  reason: Reason;
  /** Enhanced status codes (RFC 3463, RFC 7372, RFC 7505 …): `5.4.1` for one class, `1.1` for both. */
  statuses: readonly string[];
  /** Basic codes that mean this and hardly anything else. */
  codes?: readonly number[];
  /** Words that mean this and nothing else. */
  sure: readonly RegExp[];
  /** Words that mean this when nothing says otherwise. */
  likely?: readonly RegExp[];
};
