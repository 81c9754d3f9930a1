import { createHash } from "node:crypto";
import type { RecordData } from "@tyto/dns";

export type Tlsa = RecordData["TLSA"];

/** RFC 7218: the certificate usages that mean something for SMTP (RFC 7672 §3.1). */
export const daneTa = 2;
export const daneEe = 3;

const digests: Record<number, { algorithm: string; bytes: number }> = {
  1: { algorithm: "sha256", bytes: 32 },
  2: { algorithm: "sha512", bytes: 64 },
};

/** Records of one host that are looked at; a longer list is cut. */
const recordsMax = 32;

/**
 * The records that can be matched (RFC 7672 §3.1): DANE-TA or DANE-EE, known selector and matching type, data of the right
 * length. Where the same usage and selector is published with SHA-512, SHA-256 is left out (RFC 7671 §9).
 */
export function usableRecords(records: readonly Tlsa[]): Tlsa[] {
  const known = records
    .filter(
      ({ usage, selector, matchingType, certificate }) =>
        (usage === daneTa || usage === daneEe) &&
        (selector === 0 || selector === 1) &&
        (matchingType === 0 ? certificate.length > 0 : certificate.length === digests[matchingType]?.bytes),
    )
    .slice(0, recordsMax);
  return known.filter(
    (record) =>
      record.matchingType !== 1 ||
      !known.some(
        (other) =>
          other.matchingType === 2 && other.usage === record.usage && other.selector === record.selector,
      ),
  );
}

/** What a record is compared with: a certificate and its SubjectPublicKeyInfo, both DER. */
export type Material = { certificate: Uint8Array; publicKey: Uint8Array };

/** Whether a record names this certificate or this key (RFC 6698 §2.1). */
export function matches({ selector, matchingType, certificate }: Tlsa, material: Material): boolean {
  const bytes = selector === 0 ? material.certificate : material.publicKey;
  const digest = digests[matchingType];
  const found = digest === undefined ? bytes : createHash(digest.algorithm).update(bytes).digest();
  return Buffer.compare(found, certificate) === 0;
}

/** As a zone file writes it: `3 1 1 8d02…` (RFC 6698 §2.2). */
export const tlsaText = ({ usage, selector, matchingType, certificate }: Tlsa): string =>
  `${usage} ${selector} ${matchingType} ${Buffer.from(certificate).toString("hex")}`;
