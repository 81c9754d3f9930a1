import { expect, test } from "bun:test";
import { createPublicKey } from "node:crypto";
import { Domain } from "@tyto/contracts";
import { createVault, makeKeys } from "./keys.ts";

const secret = "a secret of the test, long enough";
const domain = Domain.parse("example.com");
const keys = await makeKeys(domain, createVault(secret));
const [rsa] = keys;
if (rsa === undefined) throw new Error("makeKeys made no key");

test("a domain gets an RSA key and an Ed25519 key, with the public halves as DNS wants them", () => {
  expect(keys.map(({ selector, algorithm }) => [selector, algorithm])).toEqual([
    ["tyto1r", "rsa-sha256"],
    ["tyto1e", "ed25519-sha256"],
  ]);
  const spki = createPublicKey({ key: Buffer.from(rsa.publicKey, "base64"), type: "spki", format: "der" });
  expect(spki.asymmetricKeyDetails?.modulusLength).toBe(2_048);
  expect(Buffer.from(keys[1]?.publicKey ?? "", "base64")).toHaveLength(32);
});

test("a sealed key opens with the same secret, domain and selector, and with nothing else", () => {
  const sealed = rsa.sealedPrivateKey;
  const opened = createVault(secret).open(sealed, domain, "tyto1r");
  expect(createPublicKey(opened).export({ type: "spki", format: "der" }).toString("base64")).toBe(
    rsa.publicKey,
  );
  expect(() => createVault(`${secret}!`).open(sealed, domain, "tyto1r")).toThrow();
  expect(() => createVault(secret).open(sealed, Domain.parse("example.org"), "tyto1r")).toThrow();
  expect(() => createVault(secret).open(sealed, domain, "tyto1e")).toThrow();
});

test("a changed or cut sealed key does not open", () => {
  const vault = createVault(secret);
  const bytes = Buffer.from(rsa.sealedPrivateKey.slice(3), "base64");
  for (const at of [0, 12, 40, bytes.length - 1]) {
    const changed = Buffer.from(bytes);
    changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
    expect(() => vault.open(`v1.${changed.toString("base64")}`, domain, "tyto1r")).toThrow();
  }
  for (const text of ["", "v1", "v1.", "v2.AAAA", `v1.${bytes.subarray(0, 20).toString("base64")}`])
    expect(() => vault.open(text, domain, "tyto1r")).toThrow();
});

test("sealing the same key twice gives different texts", async () => {
  const vault = createVault(secret);
  const opened = vault.open(rsa.sealedPrivateKey, domain, "tyto1r");
  expect(vault.seal(opened, domain, "tyto1r")).not.toBe(vault.seal(opened, domain, "tyto1r"));
});
