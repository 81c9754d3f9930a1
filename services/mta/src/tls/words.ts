import { phrase, shortened } from "@tyto/contracts";
import type { Facts } from "./demand.ts";
import type { StsRecord } from "./sts.ts";
import { tlsaText, usableRecords } from "./tlsa.ts";

/** One policy for people: `say` is a sentence, `mode` how strict it is, `untilMs` when what is known of it runs out. */
export type PolicyWords = { name: string; say: string; mode?: string; untilMs?: number };

const namesShownMax = 5;
const sayCharsMax = 280;

/** What the operator, the domain and the server demand of a session, one entry each; empty where nobody does. */
export function policyWords(
  { floor, sts, dane, host }: Facts,
  kept: { record?: StsRecord } = {},
): PolicyWords[] {
  const words: PolicyWords[] = [];
  if (floor !== "opportunistic")
    words.push({ name: "MTA_TLS", mode: floor, say: phrase("policy.floor", { floor }) });
  if (sts.kind === "failed")
    words.push({ name: "MTA-STS", mode: "failed", say: phrase("policy.none", { why: sts.problem.why }) });
  if (sts.kind === "policy") {
    const { mode, mx } = sts.policy;
    const untilMs = kept.record && kept.record.fetchedAt + kept.record.maxAgeS * 1_000;
    words.push({
      name: "MTA-STS",
      mode,
      say: mode === "none" ? phrase("policy.back", {}) : phrase("policy.servers", { hosts: shown(mx) }),
      ...(untilMs === undefined ? {} : { untilMs }),
    });
  }
  if (dane.kind === "failed")
    words.push({ name: "DANE", mode: "unknown", say: phrase("policy.waits", { why: dane.why }) });
  if (dane.kind === "records") {
    const isUsable = usableRecords(dane.records).length > 0;
    const records = shown(dane.records.map(tlsaText));
    words.push({
      name: "DANE",
      mode: isUsable ? "enforce" : "encrypted",
      say: phrase(isUsable ? "policy.match" : "policy.encrypt", { host, records }),
    });
  }
  return words.map((each) => ({ ...each, say: shortened(each.say, sayCharsMax) }));
}

const shown = (names: readonly string[]): string =>
  names.length <= namesShownMax
    ? names.join(", ")
    : `${names.slice(0, namesShownMax).join(", ")} and ${names.length - namesShownMax} more`;
