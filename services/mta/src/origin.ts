/**
 * The mark in the return path of each message: four letters for the address of ours that it left through, four for whom it
 * was sent. What comes back can be told apart by it, whoever sent it and however long ago.
 */
import { Origin, type QueueEntry } from "@tyto/contracts";
import { base32 } from "@tyto/mail";
import { BoundedMap } from "@tyto/service";

export type Owner = Pick<QueueEntry, "organizationId" | "campaign">;

/** Twenty bits: two of a hundred addresses, or of a thousand campaigns, are rarely one; who finds two takes neither. */
const codeChars = 4;
const codesMax = 10_000;
const codes = new BoundedMap<string, string>(codesMax);

function codeOf(text: string): string {
  const known = codes.get(text);
  if (known !== undefined) return known;
  const code = base32(new Bun.CryptoHasher("sha256").update(text).digest().subarray(0, 5)).slice(
    0,
    codeChars,
  );
  codes.set(text, code);
  return code;
}

export const egressCode = (id: string): string => codeOf(id);
export const ownerCode = ({ organizationId, campaign = "" }: Owner): string =>
  codeOf(`${organizationId}/${campaign}`);

export const originOf = (egress: string, owner: Owner): Origin =>
  Origin.parse(egressCode(egress) + ownerCode(owner));

export const codesIn = (origin: Origin): { egress: string; owner: string } => ({
  egress: origin.slice(0, codeChars),
  owner: origin.slice(codeChars),
});
