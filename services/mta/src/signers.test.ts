import { beforeAll, expect, test } from "bun:test";
import { Domain, type DomainRecord, defaultOrganization } from "@tyto/contracts";
import { createVault, makeKeys } from "./keys.ts";
import { createSigners } from "./signers.ts";

const domain = Domain.parse("example.com");
const vault = createVault("a secret of the test, long enough");
let record: DomainRecord;
beforeAll(async () => {
  record = {
    domain,
    organizationId: defaultOrganization,
    returnPathHost: Domain.parse("bounces.example.com"),
    keys: await makeKeys(domain, vault),
    verified: true,
  };
});

test("a domain without keys is asked for again each time; with keys it is kept for a while", async () => {
  let nowMs = 0;
  let reads = 0;
  let present: DomainRecord | undefined;
  const signerOf = createSigners(
    async () => {
      reads++;
      return present;
    },
    vault,
    () => nowMs,
  );
  expect(await signerOf(domain)).toBeUndefined();
  present = { ...record, keys: [] };
  expect(await signerOf(domain)).toBeUndefined();
  present = record;
  const signer = await signerOf(domain);
  expect(signer?.keys.map(({ selector }) => selector)).toEqual(["tyto1r", "tyto1e"]);
  nowMs = 9_999;
  await signerOf(domain);
  expect(reads).toBe(3);
  nowMs = 10_000;
  expect((await signerOf(domain))?.keys).toBe(signer?.keys ?? []);
  expect(reads).toBe(4);
  present = undefined;
  nowMs = 20_000;
  expect(await signerOf(domain)).toBeUndefined();
});

test("next keys do not sign; they do within ten seconds of taking over", async () => {
  const next = await makeKeys(domain, vault, 2);
  let nowMs = 0;
  let present: DomainRecord = { ...record, rotation: { number: 2, keys: next } };
  const signerOf = createSigners(
    async () => present,
    vault,
    () => nowMs,
  );
  const selectors = async () => (await signerOf(domain))?.keys.map(({ selector }) => selector);
  expect(await selectors()).toEqual(["tyto1r", "tyto1e"]);
  present = { ...record, keys: next };
  nowMs = 10_000;
  expect(await selectors()).toEqual(["tyto2r", "tyto2e"]);
});

test("a key that does not open is an error and not an unsigned message", async () => {
  const other = createVault("another secret of the test, long enough");
  const signerOf = createSigners(
    async () => record,
    other,
    () => 0,
  );
  await expect(signerOf(domain)).rejects.toThrow();
});
