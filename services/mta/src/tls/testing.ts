/**
 * Certificates of the tests, fixtures/tls/*.pem, made by openssl for thirty years:
 *
 *     authority ── known (mx.test, mta-sts.example.org, reports.test), ended (mx.test, over), other (other.test)
 *               └─ issuing ── issued (mx.test, alias.test)
 *     stranger ─── unknown (mx.test), nexthop (example.org)
 *     other ────── forged (mx.test), though other is no authority
 */
import { createHash, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Tlsa } from "./tlsa.ts";

const folder = `${import.meta.dir}/../../fixtures/tls`;

/** The certificate and, where it is a server's, its key, as PEM. */
export const pemOf = (name: string): string => readFileSync(`${folder}/${name}.pem`, "utf8");
export const certificateOf = (name: string) => new X509Certificate(pemOf(name));

/** `known+issuing` as a server shows it: its key, its certificate, and what it sends along. */
export const chainPem = (names: string): string => names.split("+").map(pemOf).join("\n");

/** The TLSA record `3 1 1` of the certificate `known`, and the like. */
export function tlsaOf(usage: number, selector: number, matchingType: number, name: string): Tlsa {
  const certificate = certificateOf(name);
  const bytes =
    selector === 0 ? certificate.raw : certificate.publicKey.export({ type: "spki", format: "der" });
  const digest = [undefined, "sha256", "sha512"][matchingType];
  const data = digest === undefined ? bytes : createHash(digest).update(bytes).digest();
  return { usage, selector, matchingType, certificate: new Uint8Array(data) };
}
