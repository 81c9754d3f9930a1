import type { PlannedEgress } from "../egress/plan.ts";
import type { Report } from "../feedback.ts";
import { codesIn, egressCode } from "../origin.ts";

/**
 * Which of our addresses sent the message that a report is about: by the mark in its return path, else by the address that the report
 * names as the sender's (RFC 5965 Source-IP), else the only one there is. `undefined` when nothing tells: to blame one for what
 * another did would slow the wrong one.
 */
export function createSenders(egresses: readonly Pick<PlannedEgress, "id" | "localIp">[]) {
  const byCode = onlyOnes(egresses.map(({ id }) => [egressCode(id), id]));
  const byIp = onlyOnes(
    egresses.flatMap(({ id, localIp }) => (localIp === undefined ? [] : [[localIp, id]])),
  );
  const [first, second] = egresses;
  const only = second === undefined ? first?.id : undefined;

  return ({ origin, sourceIp }: Pick<Report, "origin" | "sourceIp">): string | undefined => {
    if (origin !== undefined) return byCode.get(codesIn(origin).egress);
    return (sourceIp === undefined ? undefined : byIp.get(sourceIp)) ?? only;
  };
}

/** Without the keys that mean several. */
function onlyOnes(pairs: readonly (readonly string[])[]): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const several = new Set<string>();
  for (const [key = "", value = ""] of pairs) {
    if (found.has(key)) several.add(key);
    found.set(key, value);
  }
  for (const key of several) found.delete(key);
  return found;
}
