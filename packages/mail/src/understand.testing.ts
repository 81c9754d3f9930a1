/** What the tests of understand() share: the envelope of a case, and what the installation of the cases knows. */
import { decodeOwnAddress, type Facts } from "./index.ts";

/** 2026-01-06, a day after the mail of the cases. */
const nowMs = Date.UTC(2026, 0, 6);
const verpKey = "a key of the case files, never used elsewhere";

export type Case = { envelope: { from: string; to: string }; understood: unknown };

export const factsOf = ({ from, to }: Case["envelope"]): Facts => ({
  envelopeFrom: from,
  envelopeTo: to,
  ...decodeOwnAddress(to, verpKey),
  verpKey,
  isOwnDomain: (domain) => domain === "example.com",
  nowMs,
});
