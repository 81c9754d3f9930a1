import { expect, test } from "bun:test";
import type { X509Certificate } from "node:crypto";
import { TlsSession } from "@tyto/contracts";
import { danePeerProblem, describeCertificate, type Peer, pkixProblem } from "./peer.ts";
import { certificateOf, tlsaOf } from "./testing.ts";
import { type Tlsa, usableRecords } from "./tlsa.ts";

const peer = (names: string): Peer => ({ chain: names.split("+").map(certificateOf) });
const nowMs = Date.UTC(2026, 11, 1);
const dane = (chain: string, records: Tlsa[], names = ["mx.test"], atMs = nowMs) =>
  danePeerProblem(peer(chain), records, names, atMs)?.result ?? "ok";

test.each([0, 1, 2])("DANE-EE matches the certificate by matching type %p", (matchingType) => {
  expect(dane("known", [tlsaOf(3, 0, matchingType, "known")])).toBe("ok");
  expect(dane("known", [tlsaOf(3, 0, matchingType, "unknown")])).toBe("validation-failure");
});

test.each([0, 1, 2])("DANE-EE matches the key by matching type %p", (matchingType) => {
  expect(dane("known", [tlsaOf(3, 1, matchingType, "known")])).toBe("ok");
  expect(dane("known", [tlsaOf(3, 1, matchingType, "unknown")])).toBe("validation-failure");
});

test("what is over in these cases was so years ago, and all else holds for years, whatever a machine's clock says", () => {
  for (const name of ["authority", "issuing", "known", "other", "issued", "stranger", "unknown", "forged"]) {
    const { validFrom, validTo } = certificateOf(name);
    expect([
      name,
      Date.parse(validFrom) < Date.UTC(2020, 1),
      Date.parse(validTo) > Date.UTC(2050, 1),
    ]).toEqual([name, true, true]);
  }
  expect(Date.parse(certificateOf("ended").validTo)).toBeLessThan(Date.UTC(2020, 1));
});

test("DANE-EE looks at neither names nor dates", () => {
  expect(dane("other", [tlsaOf(3, 1, 1, "other")])).toBe("ok");
  expect(dane("ended", [tlsaOf(3, 1, 1, "ended")])).toBe("ok");
});

test("one of several records is enough", () => {
  expect(dane("known", [tlsaOf(3, 1, 1, "unknown"), tlsaOf(3, 1, 1, "known")])).toBe("ok");
});

test.each([
  [0, 0],
  [0, 1],
  [0, 2],
  [1, 0],
  [1, 1],
  [1, 2],
])(
  "DANE-TA with selector %p and matching type %p finds the authority in the chain",
  (selector, matchingType) => {
    const anchor = tlsaOf(2, selector, matchingType, "authority");
    expect(dane("issued+issuing+authority", [anchor])).toBe("ok");
    expect(dane("unknown+stranger", [anchor])).toBe("validation-failure");
  },
);

test("DANE-TA may name an authority in the middle", () => {
  expect(dane("issued+issuing", [tlsaOf(2, 1, 1, "issuing")])).toBe("ok");
});

test("DANE-TA finds the way whatever the order of the chain is, and what else it holds", () => {
  expect(dane("issued+stranger+authority+other+issuing", [tlsaOf(2, 1, 1, "authority")])).toBe("ok");
});

test("DANE-TA needs the authority sent along, unless the record holds it whole", () => {
  expect(dane("issued+issuing", [tlsaOf(2, 0, 1, "authority")])).toBe("validation-failure");
  expect(dane("issued+issuing", [tlsaOf(2, 0, 0, "authority")])).toBe("ok");
  expect(dane("issued+issuing", [tlsaOf(2, 1, 0, "authority")])).toBe("ok");
});

test("DANE-TA matches no server's own certificate, and none that is signed by one that is no authority", () => {
  expect(dane("known", [tlsaOf(2, 1, 1, "known")])).toBe("validation-failure");
  expect(dane("forged+other+authority", [tlsaOf(2, 1, 1, "authority")])).toBe("validation-failure");
});

test("DANE-TA wants one of the names, and a certificate in its time", () => {
  const anchor = [tlsaOf(2, 1, 1, "authority")];
  expect(dane("other+authority", anchor)).toBe("certificate-host-mismatch");
  expect(dane("other+authority", anchor, ["mx.test", "other.test"])).toBe("ok");
  expect(dane("ended+authority", anchor)).toBe("validation-failure");
  expect(dane("known+authority", anchor, ["mx.test"], Date.UTC(2200, 0))).toBe("validation-failure");
});

test("records that hold garbage in the place of a certificate or a key match nothing", () => {
  for (const selector of [0, 1]) {
    const garbage = { usage: 2, selector, matchingType: 0, certificate: new Uint8Array(64).fill(48) };
    expect(dane("issued+issuing", [garbage])).toBe("validation-failure");
  }
});

test("only records that mean something for SMTP can be used", () => {
  const record = (usage: number, selector: number, matchingType: number, bytes: number) => ({
    usage,
    selector,
    matchingType,
    certificate: new Uint8Array(bytes),
  });
  const usable = (...records: Tlsa[]) => usableRecords(records).length;
  expect(usable(record(3, 1, 1, 32), record(2, 0, 1, 32), record(3, 0, 2, 64), record(3, 0, 0, 700))).toBe(4);
  // PKIX-TA and PKIX-EE (RFC 7672 §3.1.3), unknown numbers, lengths that no digest has.
  for (const wrong of [
    record(0, 1, 1, 32),
    record(1, 1, 1, 32),
    record(4, 1, 1, 32),
    record(3, 2, 1, 32),
    record(3, 1, 3, 32),
    record(3, 1, 1, 31),
    record(3, 1, 2, 32),
    record(3, 1, 0, 0),
    record(255, 255, 255, 0),
  ])
    expect(usable(wrong)).toBe(0);
});

test("SHA-512 displaces SHA-256 of the same usage and selector, and of no other", () => {
  const used = (...records: Tlsa[]) =>
    usableRecords(records).map(({ usage, selector, matchingType }) =>
      [usage, selector, matchingType].join(""),
    );
  expect(used(tlsaOf(3, 1, 1, "known"), tlsaOf(3, 1, 2, "known"), tlsaOf(2, 0, 1, "authority"))).toEqual([
    "312",
    "201",
  ]);
});

test("an authority is believed by what OpenSSL says, and the name by the certificate", () => {
  const result = (chain: string, distrust?: string) =>
    pkixProblem({ ...peer(chain), ...(distrust === undefined ? {} : { distrust }) }, "mx.test")?.result ??
    "ok";
  expect(result("known")).toBe("ok");
  expect(result("other")).toBe("certificate-host-mismatch");
  expect(result("ended", "CERT_HAS_EXPIRED")).toBe("certificate-expired");
  expect(result("unknown", "SELF_SIGNED_CERT_IN_CHAIN")).toBe("certificate-not-trusted");
  expect(pkixProblem({ chain: [] }, "mx.test")?.result).toBe("certificate-not-trusted");
});

test("whatever a certificate says of itself, it fits into an event", () => {
  const plain = {
    subject: { CN: "mx.test", OU: ["a", "b"] },
    issuer: { CN: "ca" },
    valid_to: "Feb  7 08:13:25 2035 GMT",
    fingerprint256: "AB:CD",
  };
  expect(describeCertificate(plain as never)).toEqual({
    subject: "CN=mx.test, OU=a, OU=b",
    issuer: "CN=ca",
    fingerprint: "abcd",
    endsAt: Date.UTC(2035, 1, 7, 8, 13, 25),
  });
  const certificate = TlsSession.shape.certificate;
  for (const odd of [
    { valid_to: "Jan  1 00:00:00 1950 GMT" },
    { valid_to: "Dec 31 23:59:59 9999 GMT" },
    { valid_to: "never" },
    { valid_to: undefined },
    { subject: undefined, issuer: null },
    { subject: { CN: "x".repeat(70_000) }, issuer: { O: Array(1_000).fill("y") } },
  ])
    expect(certificate.safeParse(describeCertificate({ ...plain, ...odd } as never)).success).toBe(true);
  for (const none of [undefined, null, {}]) expect(describeCertificate(none)).toBeUndefined();
});

test("2,000 random records and chains are judged, never an exception, and never a wrong match", () => {
  let state = 7;
  const next = (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const names = [
    "known",
    "issued",
    "issuing",
    "authority",
    "other",
    "stranger",
    "unknown",
    "ended",
    "forged",
  ];
  const loaded = new Map(names.map((name) => [name, certificateOf(name)]));
  const records = names.flatMap((name) =>
    [2, 3].flatMap((usage) =>
      [0, 1].flatMap((s) => [0, 1, 2].map((m) => ({ name, usage, record: tlsaOf(usage, s, m, name) }))),
    ),
  );
  const above: Record<string, string> = {
    known: "authority",
    ended: "authority",
    other: "authority",
    issued: "issuing",
    issuing: "authority",
    unknown: "stranger",
    forged: "other",
  };
  const isBelow = (leaf: string, anchor: string): boolean =>
    above[leaf] !== undefined && (above[leaf] === anchor || isBelow(above[leaf], anchor));
  let matched = 0;
  for (let round = 0; round < 2_000; round++) {
    const chain = Array.from({ length: 1 + next(4) }, () => names[next(names.length)] ?? "known");
    const picked = records[next(records.length)];
    if (picked === undefined) continue;
    const record = { ...picked.record, certificate: Uint8Array.from(picked.record.certificate) };
    const isChanged = next(3) === 0;
    if (isChanged) record.certificate[next(record.certificate.length)] = next(256);
    const problem = danePeerProblem(
      {
        chain: chain
          .map((name) => loaded.get(name))
          .filter((one): one is X509Certificate => one !== undefined),
      },
      [record],
      ["mx.test", "other.test"],
      nowMs,
    );
    if (problem !== undefined) continue;
    matched++;
    const [leaf = ""] = chain;
    // A changed byte may have become what it was.
    const isRight = picked.usage === 3 ? leaf === picked.name : isBelow(leaf, picked.name);
    expect(isRight).toBe(true);
  }
  expect(matched).toBeGreaterThan(50);
});
