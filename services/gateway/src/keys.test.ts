import { expect, test } from "bun:test";
import { type ApiKeyRecord, defaultOrganization, scopes } from "@tyto/contracts";
import { sha256 } from "./idempotency.ts";
import { callerOf, newApiKey } from "./keys.ts";

test("a new key is long and random, and only its hash is kept", () => {
  const made = Array.from({ length: 200 }, newApiKey);
  expect(new Set(made.map(({ key }) => key)).size).toBe(200);
  for (const { key, hash, prefix } of made) {
    expect(key).toMatch(/^tyto_[0-9A-Za-z]{43}$/);
    expect(hash).toBe(sha256(key));
    expect(key.startsWith(prefix)).toBe(true);
  }
});

test("a key stands for its record, the root key for everything, any other text for nobody", async () => {
  const { key, hash } = newApiKey();
  const record: ApiKeyRecord = {
    apiKeyId: "key_1",
    organizationId: defaultOrganization,
    name: "the shop",
    scopes: ["emails:send"],
    createdAt: 0,
  };
  const find = async (asked: string) => (asked === hash ? record : undefined);
  expect(await callerOf(key, "root key", find)).toEqual({
    kind: "key",
    id: "key_1",
    name: "key:the-shop",
    scopes: ["emails:send"],
  });
  expect(await callerOf("root key", "root key", find)).toEqual({
    kind: "key",
    id: "root",
    name: "root",
    scopes: [...scopes],
  });
  for (const text of ["", "root ke", "root key ", `${key} `, hash])
    expect(await callerOf(text, "root key", find)).toBeUndefined();
});
