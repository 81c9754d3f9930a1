import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Bus } from "@tyto/bus";
import { startNats, type TestNats } from "@tyto/bus/testing";
import { type ApiKeyRecord, defaultOrganization } from "@tyto/contracts";
import { type Mirror, mirror } from "./mirror.ts";

let nats: TestNats;
let recorder: Bus;
let keys: Mirror<ApiKeyRecord>;
const seen: string[] = [];
beforeAll(async () => {
  nats = await startNats();
  recorder = await nats.connect("recorder");
  await recorder.bucket("API_KEYS").put("present", record("present"));
  const gateway = await nats.connect("gateway");
  keys = await mirror(gateway.bucket("API_KEYS"), (key, value) =>
    seen.push(`${key} ${value?.apiKeyId ?? "gone"}`),
  );
});
afterAll(async () => {
  keys.stop();
  await nats.stop();
});

const record = (apiKeyId: string): ApiKeyRecord => ({
  apiKeyId,
  organizationId: defaultOrganization,
  name: apiKeyId,
  scopes: ["admin"],
  createdAt: 0,
});
const isThere = (value: ApiKeyRecord | undefined) => value !== undefined;
const isGone = (value: ApiKeyRecord | undefined) => value === undefined;
const waitMs = 30_000;

test("what the bucket holds is known from the start, and what changes follows", async () => {
  expect(await keys.get("present")).toMatchObject({ apiKeyId: "present" });
  await recorder.bucket("API_KEYS").put("new", record("new"));
  expect(await keys.waitFor("new", isThere, waitMs)).toMatchObject({ apiKeyId: "new" });
  await recorder.bucket("API_KEYS").delete("new");
  expect(await keys.waitFor("new", isGone, waitMs)).toBeUndefined();
  expect(seen).toEqual(["present present", "new new", "new gone"]);
});

test("an own write counts until the bucket says so too, and from then on the bucket counts", async () => {
  keys.expect("own", record("own"));
  expect(await keys.get("own")).toMatchObject({ apiKeyId: "own" });
  expect(keys.keysWhere(({ apiKeyId }) => apiKeyId === "own")).toEqual(["own"]);
  await recorder.bucket("API_KEYS").put("own", record("theirs"));
  await keys.waitFor("own", (value) => value?.apiKeyId === "theirs", waitMs);
  await recorder.bucket("API_KEYS").delete("own");
  expect(await keys.waitFor("own", isGone, waitMs)).toBeUndefined();
});

test("a removal is not undone by a value that was on its way before it", async () => {
  keys.expect("revoked", record("revoked"));
  keys.expect("revoked", undefined);
  await recorder.bucket("API_KEYS").put("revoked", record("revoked"));
  await recorder.bucket("API_KEYS").put("marker", record("marker"));
  await keys.waitFor("marker", isThere, waitMs);
  expect(await keys.get("revoked")).toBeUndefined();
  expect(keys.keysWhere(() => true)).not.toContain("revoked");
});

test("waiting ends with what is there when nothing comes", async () => {
  expect(await keys.waitFor("never", isThere, 5)).toBeUndefined();
});
