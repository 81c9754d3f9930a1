import { expect, test } from "bun:test";
import { ApiKeyRecord, DomainRecord, SuppressionRecord, suppressionKey } from "@tyto/contracts";
import { ConvexError } from "convex/values";
import { api, internal } from "./_generated/api";
import { asGateway, asRecorder, asUser, noon, sample, startConvex } from "./samples.testing.ts";

const everything = { paginationOpts: { numItems: 50, cursor: null } };
const ann = { address: "Ann@example.net", key: suppressionKey("Ann@example.net"), cause: "manual" as const };
const record = {
  purpose: "spf" as const,
  type: "TXT" as const,
  name: "bounces.example.com",
  value: "v=spf1 -all",
  required: true,
  state: "unchecked" as const,
  found: [],
};
const domain = { domain: "example.com", returnPathHost: "bounces.example.com", records: [record] };

function start() {
  const t = startConvex({ now: () => noon });
  const recorder = asRecorder(t);
  const log = async () => (await recorder.query(api.sync.changes, { after: 0 })).changes;
  return { t, gateway: asGateway(t), recorder, log };
}

const refusalOf = async (call: Promise<unknown>) => {
  const error = await call.catch((thrown: unknown) => thrown);
  return error instanceof ConvexError ? error.data.code : error;
};

test("adding and removing a suppression reaches the log, with values that keep the bucket's contract", async () => {
  const { t, gateway, log } = start();
  await gateway.mutation(api.service.addSuppression, ann);
  expect(await gateway.mutation(api.service.addSuppression, ann)).toMatchObject({ address: ann.address });
  expect(await gateway.mutation(api.service.removeSuppression, { address: "ann@EXAMPLE.net" })).toBe(true);
  expect(await gateway.mutation(api.service.removeSuppression, { address: "ann@example.net" })).toBe(false);
  const [added, removed, ...more] = await log();
  expect(more).toEqual([]);
  expect(added).toMatchObject({ sequence: 1, bucket: "SUPPRESSIONS", key: ann.key });
  expect(SuppressionRecord.parse(JSON.parse(added?.value ?? ""))).toMatchObject({
    cause: "manual",
    since: noon,
  });
  expect(removed).toEqual({ sequence: 2, bucket: "SUPPRESSIONS", key: ann.key, value: null });
  const overview = await (await asUser(t)).query(api.counters.overview, {});
  expect(overview.suppressions).toBe(0);
});

test("what a person asked for outlasts an earlier bounce, and a bounce never replaces it", async () => {
  const { t, gateway } = start();
  const bounce = sample("mail.bounced");
  const manual = {
    address: "user0@example.net",
    key: suppressionKey("user0@example.net"),
    cause: "unsubscribe" as const,
  };
  const cause = async () => (await t.run((ctx) => ctx.db.query("suppressions").unique()))?.cause;
  await t.mutation(internal.record.apply, { events: JSON.stringify([bounce]) });
  expect(await cause()).toBe("bounce");
  await gateway.mutation(api.service.addSuppression, manual);
  expect(await cause()).toBe("unsubscribe");
  await t.mutation(internal.record.apply, {
    events: JSON.stringify([{ ...bounce, payload: { ...bounce.payload, id: "another", at: noon - 1 } }]),
  });
  expect(await cause()).toBe("unsubscribe");
});

test("suppressions are listed by page for programs and found by their beginning for people", async () => {
  const { t, gateway } = start();
  for (const name of ["carol", "alice", "bob", "alan"]) {
    const address = `${name}@example.net`;
    await gateway.mutation(api.service.addSuppression, {
      address,
      key: suppressionKey(address),
      cause: "manual",
    });
  }
  const first = await gateway.query(api.service.listSuppressions, { cursor: null, limit: 3 });
  const second = await gateway.query(api.service.listSuppressions, { cursor: first.cursor, limit: 3 });
  expect([...first.page, ...second.page].map(({ address }) => address.split("@")[0])).toEqual([
    "alan",
    "alice",
    "bob",
    "carol",
  ]);
  expect(second.cursor).toBeNull();
  const user = await asUser(t);
  const found = await user.query(api.suppressions.list, { search: " AL", ...everything });
  expect(found.page.map(({ address }) => address)).toEqual(["alan@example.net", "alice@example.net"]);
  const newest = await user.query(api.suppressions.list, everything);
  expect(newest.page.map(({ address }) => address.split("@")[0])).toEqual(["alan", "bob", "alice", "carol"]);
});

test("a key that is not that of the address is refused", async () => {
  const { gateway } = start();
  expect(
    await refusalOf(gateway.mutation(api.service.addSuppression, { ...ann, key: "ab".repeat(32) })),
  ).toBe("request.invalid");
});

test("a domain is prepared, keyed, verified, and lost, and the log tells what services see of it", async () => {
  const { t, gateway, log } = start();
  expect(await gateway.mutation(api.service.addDomain, domain)).toMatchObject({
    state: "preparing",
    keys: [],
  });
  expect(await refusalOf(gateway.mutation(api.service.addDomain, domain))).toBe("domain.exists");
  await t.mutation(internal.record.apply, { events: JSON.stringify([sample("domain.keyed")]) });
  const check = (state: "pending" | "verified" | "failing", at: number) =>
    gateway.mutation(api.service.recordDnsCheck, {
      domain: "example.com",
      records: [{ ...record, state: state === "verified" ? "found" : "missing" }],
      state,
      checkedAt: noon + at,
    });
  await check("pending", 1);
  expect(await check("verified", 3)).toMatchObject({ state: "verified", checkedAt: noon + 3 });
  // A slower check that began before does not undo it.
  expect(await check("failing", 2)).toMatchObject({ state: "verified", checkedAt: noon + 3 });
  expect(await gateway.mutation(api.service.removeDomain, { domain: "example.com" })).toBe(true);
  expect(await gateway.mutation(api.service.removeDomain, { domain: "example.com" })).toBe(false);
  expect(await refusalOf(check("verified", 4))).toBe("domain.unknown");

  const values = (await log()).map(({ bucket, key, value }) => {
    expect([bucket, key]).toEqual(["DOMAINS", "example.com"]);
    if (value === null) return null;
    const { keys, verified, unpublished } = DomainRecord.parse(JSON.parse(value));
    return [keys.length, verified, unpublished];
  });
  expect(values).toEqual([
    [0, false, undefined],
    [2, false, undefined],
    [2, false, [record.purpose]],
    [2, true, []],
    null,
  ]);
});

test("nobody but the services' bucket sees a sealed private key", async () => {
  const { t, gateway, recorder } = start();
  await gateway.mutation(api.service.addDomain, domain);
  await t.mutation(internal.record.apply, { events: JSON.stringify([sample("domain.keyed")]) });
  const user = await asUser(t);
  const seen = [
    await user.query(api.domains.list, {}),
    await user.query(api.domains.get, { domain: "example.com" }),
    await gateway.query(api.service.listDomains, {}),
    await gateway.query(api.service.getDomain, { domain: "example.com" }),
  ];
  expect(JSON.stringify(seen)).toContain("tyto2");
  expect(JSON.stringify(seen)).not.toContain("sealed");
  const { rows } = await recorder.query(api.sync.snapshot, { bucket: "DOMAINS", cursor: null });
  expect(rows[0]?.value).toContain("sealed one");
});

test("an API key is stored by its hash, used, and removed", async () => {
  const { t, gateway, log } = start();
  const hash = "ab".repeat(32);
  const key = { apiKeyId: "key1", name: "Shop", prefix: "tyto_abc", hash, scopes: ["emails:send" as const] };
  await gateway.mutation(api.service.addApiKey, key);
  await gateway.mutation(api.service.addApiKey, key);
  for (const at of [noon + 2, noon + 1])
    await gateway.mutation(api.service.touchApiKey, { apiKeyId: "key1", at });
  await gateway.mutation(api.service.touchApiKey, { apiKeyId: "gone", at: noon });
  const listed = await (await asUser(t)).query(api.apiKeys.list, {});
  expect(listed).toMatchObject([{ apiKeyId: "key1", prefix: "tyto_abc", lastUsedAt: noon + 2 }]);
  expect(JSON.stringify(listed)).not.toContain(hash);
  expect(await gateway.mutation(api.service.removeApiKey, { apiKeyId: "key1" })).toBe(true);
  expect(await gateway.mutation(api.service.removeApiKey, { apiKeyId: "key1" })).toBe(false);
  const [added, removed, ...more] = await log();
  expect(more).toEqual([]);
  expect(ApiKeyRecord.parse(JSON.parse(added?.value ?? ""))).toMatchObject({
    apiKeyId: "key1",
    name: "Shop",
  });
  expect(removed).toEqual({ sequence: 2, bucket: "API_KEYS", key: hash, value: null });
});
