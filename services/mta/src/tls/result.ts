/** What may be wrong with the encryption of a session, in the words of RFC 8460 §4.3. */
const tlsResults = [
  "starttls-not-supported",
  "certificate-host-mismatch",
  "certificate-expired",
  "certificate-not-trusted",
  "validation-failure",
  "tlsa-invalid",
  "dnssec-invalid",
  "dane-required",
  "sts-policy-fetch-error",
  "sts-policy-invalid",
  "sts-webpki-invalid",
] as const;
export type TlsResult = (typeof tlsResults)[number];

/** One thing that went wrong: the word for reports, and a sentence for people. */
export type TlsProblem = { result: TlsResult; why: string };
