import { createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import {
  checkServerIdentity,
  type DetailedPeerCertificate,
  type PeerCertificate,
  type TLSSocket,
} from "node:tls";
import type { TlsProblem } from "./result.ts";
import { daneEe, daneTa, matches, type Tlsa } from "./tlsa.ts";

/** Who is at the other end of an encrypted connection. */
export type Peer = {
  /** The server's own certificate first, then what it sent along, in no order that can be relied on. */
  chain: readonly X509Certificate[];
  /** Why no known authority vouches for it: a code of OpenSSL, such as `CERT_HAS_EXPIRED`. */
  distrust?: string;
};

const wrongName = "ERR_TLS_CERT_ALTNAME_INVALID";
/** Longer chains are cut; the longest in the wild have five. */
const chainMax = 10;

/** The peer of a connection; `undefined` when it showed no certificate or one that cannot be read. */
export function peerOf(socket: TLSSocket): Peer | undefined {
  const chain: X509Certificate[] = [];
  let current: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  for (let depth = 0; depth < chainMax && current?.raw !== undefined; depth++) {
    const certificate = readCertificate(current.raw);
    if (certificate === undefined) break;
    chain.push(certificate);
    if (current.issuerCertificate === current) break;
    current = current.issuerCertificate;
  }
  if (chain.length === 0) return undefined;
  const distrust = socket.authorized ? undefined : String(socket.authorizationError);
  // Bun looks at the name too, after the chain; which names count is decided here.
  return { chain, ...(distrust === undefined || distrust === wrongName ? {} : { distrust }) };
}

/** What is wrong with a peer that has to show a certificate for `name` from a known authority (RFC 8461 §4.2). */
export function pkixProblem({ chain: [leaf], distrust }: Peer, name: string): TlsProblem | undefined {
  if (leaf === undefined) return { result: "certificate-not-trusted", why: "it shows no certificate" };
  if (distrust === "CERT_HAS_EXPIRED")
    return { result: "certificate-expired", why: `its certificate ended on ${leaf.validTo}` };
  if (distrust !== undefined)
    return {
      result: "certificate-not-trusted",
      why: `no known authority vouches for its certificate (${distrust})`,
    };
  if (!isNamed(leaf, name))
    return { result: "certificate-host-mismatch", why: `its certificate is not for ${name}` };
  return undefined;
}

/**
 * What is wrong with a peer that has to match TLSA records (RFC 7672 §3). DANE-EE names the certificate or its key, and
 * nothing else counts: no names, no dates. DANE-TA names an authority in the chain, and one of `names` has to be in the
 * certificate.
 */
export function danePeerProblem(
  { chain }: Peer,
  records: readonly Tlsa[],
  names: readonly string[],
  nowMs: number,
): TlsProblem | undefined {
  const [leaf] = chain;
  if (leaf === undefined) return { result: "validation-failure", why: "it shows no certificate" };
  if (records.some((record) => record.usage === daneEe && matches(record, materialOf(leaf))))
    return undefined;
  const anchors = records.filter(({ usage }) => usage === daneTa);
  if (!isAnchored(chain, anchors, nowMs))
    return { result: "validation-failure", why: "its certificate matches no TLSA record" };
  if (!names.some((name) => isNamed(leaf, name)))
    return { result: "certificate-host-mismatch", why: `its certificate is not for ${names.join(" or ")}` };
  return undefined;
}

/** Follows the chain from the server's certificate up to one that a record names, each signed by the next. */
function isAnchored(chain: readonly X509Certificate[], anchors: readonly Tlsa[], nowMs: number): boolean {
  let [current, ...others] = chain;
  if (anchors.length === 0) return false;
  while (current !== undefined && isInTime(current, nowMs)) {
    const below = current;
    // A record may hold the whole authority, which then need not be sent (RFC 7671 §5.2.2).
    if (anchors.some((anchor) => isSignedByRecord(below, anchor, nowMs))) return true;
    const issuer = others.find((other) => other.ca && isSignedBy(below, other));
    if (issuer === undefined) return false;
    if (anchors.some((anchor) => matches(anchor, materialOf(issuer)))) return isInTime(issuer, nowMs);
    others = others.filter((other) => other !== issuer);
    current = issuer;
  }
  return false;
}

function isSignedByRecord(below: X509Certificate, anchor: Tlsa, nowMs: number): boolean {
  if (anchor.matchingType !== 0) return false;
  if (anchor.selector === 1) {
    const key = readKey(anchor.certificate);
    return key !== undefined && isVerified(below, key);
  }
  const authority = readCertificate(anchor.certificate);
  return authority !== undefined && isInTime(authority, nowMs) && isSignedBy(below, authority);
}

const isSignedBy = (below: X509Certificate, above: X509Certificate) =>
  below.checkIssued(above) && isVerified(below, above.publicKey);

function isVerified(below: X509Certificate, key: KeyObject): boolean {
  try {
    return below.verify(key);
  } catch {
    // A key of another kind than the signature's.
    return false;
  }
}

const isInTime = (certificate: X509Certificate, nowMs: number) =>
  Date.parse(certificate.validFrom) <= nowMs && nowMs <= Date.parse(certificate.validTo);

const materialOf = (certificate: X509Certificate) => ({
  certificate: certificate.raw,
  publicKey: certificate.publicKey.export({ type: "spki", format: "der" }),
});

function isNamed(certificate: X509Certificate, name: string): boolean {
  if (isIP(name) !== 0) return certificate.checkIP(name) !== undefined;
  return checkServerIdentity(name, certificate.toLegacyObject()) === undefined;
}

function readCertificate(bytes: Uint8Array): X509Certificate | undefined {
  try {
    const certificate = new X509Certificate(bytes);
    // Its key is decoded here, or else wherever it is used.
    return certificate.publicKey === undefined ? undefined : certificate;
  } catch {
    // Bytes of a stranger that are no certificate, or hold no key, match nothing.
    return undefined;
  }
}

function readKey(bytes: Uint8Array): KeyObject | undefined {
  try {
    return createPublicKey({ key: Buffer.from(bytes), format: "der", type: "spki" });
  } catch {
    // Bytes of a stranger that are no key match nothing.
    return undefined;
  }
}

const nameCharsMax = 200;

/** A certificate for events: who it is for, who signed it, its SHA-256 fingerprint and its last day. */
export function describeCertificate(certificate: Partial<PeerCertificate> | null | undefined) {
  if (certificate?.fingerprint256 === undefined) return undefined;
  const endsAt = Date.parse(certificate.valid_to ?? "");
  return {
    subject: distinguishedName(certificate.subject),
    issuer: distinguishedName(certificate.issuer),
    fingerprint: certificate.fingerprint256.replaceAll(":", "").toLowerCase(),
    // A certificate may say that it ended before 1970, or at no time at all; events know neither.
    ...(endsAt >= 0 ? { endsAt } : {}),
  };
}

/** `CN=mx.example.com, O=Example` from the fields of a name, whose values may be lists. */
function distinguishedName(fields: object | undefined): string {
  return Object.entries(fields ?? {})
    .flatMap(([field, value]) => [value].flat().map((one) => `${field}=${String(one)}`))
    .join(", ")
    .slice(0, nameCharsMax);
}
