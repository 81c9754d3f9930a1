import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import type { Bus } from "@tyto/bus";
import { startNats, type TestNats } from "@tyto/bus/testing";
import { type BucketName, suppressionKey } from "@tyto/contracts";
import { api, internal } from "@tyto/convex/api";
import {
  asGateway,
  asRecorder,
  sample,
  startConvex,
  type TestDeployment,
} from "@tyto/convex/samples.testing.ts";
import { Registry, silentLog } from "@tyto/service";
import type { Feed } from "./feed.ts";
import { type Follower, follow, isContinued } from "./follow.ts";
import { createMetrics } from "./metrics.ts";

let nats: TestNats;
let bus: Bus;
const followers: Follower[] = [];

beforeAll(async () => {
  nats = await startNats({ users: true });
  bus = await nats.connect("recorder");
});
afterEach(async () => {
  await Promise.all(followers.splice(0).map((follower) => follower.stop()));
  for (const name of ["SUPPRESSIONS", "DOMAINS", "API_KEYS", "INBOXES", "SYNC"] as const)
    for (const key of (await contents(name)).keys()) await bus.bucket(name).delete(key);
});
afterAll(async () => await nats.stop());

/** Convex on the real engine, with a feed that asks whenever something may have changed. */
function startStore() {
  const convex = startConvex();
  const recorder = asRecorder(convex);
  let refusal: Error | undefined;
  const openFeed = (): Feed => ({
    async next(after, isNews, signal) {
      for (;;) {
        signal.throwIfAborted();
        if (refusal !== undefined) throw refusal;
        const changes = await recorder.query(api.sync.changes, { after });
        if (isNews(changes)) return changes;
        await Bun.sleep(2);
      }
    },
    snapshot: (bucket, cursor) => recorder.query(api.sync.snapshot, { bucket, cursor }),
    isConnected: () => refusal === undefined,
    close: async () => {},
  });
  const refuse = (error: Error | undefined) => {
    refusal = error;
  };
  return { convex, openFeed, refuse };
}

function start(store: Pick<ReturnType<typeof startStore>, "openFeed">, registry = new Registry()) {
  const follower = follow({
    openFeed: store.openFeed,
    bucket: bus.bucket,
    metrics: createMetrics(registry, Date.now),
    log: silentLog,
    wait: () => Bun.sleep(1),
  });
  followers.push(follower);
  return follower;
}

async function contents<B extends BucketName>(name: B): Promise<Map<string, unknown>> {
  const found = new Map<string, unknown>();
  const watch = await bus.bucket(name).watch((key, value) => {
    if (value === undefined) found.delete(key);
    else found.set(key, value);
  });
  watch.stop();
  return found;
}

async function until(isTrue: () => Promise<boolean> | boolean): Promise<void> {
  for (const giveUpAtMs = Date.now() + 30_000; !(await isTrue()); await Bun.sleep(2))
    if (Date.now() > giveUpAtMs) throw new Error("did not happen within 30 s");
}

const addressOf = (index: number) => `user${index}@example.net`;
const suppress = (convex: TestDeployment, index: number) => {
  const address = addressOf(index);
  return asGateway(convex).mutation(api.service.addSuppression, {
    address,
    key: suppressionKey(address),
    cause: "manual",
  });
};
const isSuppressed = async (index: number) =>
  (await bus.bucket("SUPPRESSIONS").get(suppressionKey(addressOf(index)))) !== undefined;

test("at the first start the buckets are filled, and what Convex does not have is removed", async () => {
  const store = startStore();
  const key = suppressionKey("stale@example.net");
  await bus.bucket("SUPPRESSIONS").put(key, {
    address: "stale@example.net" as never,
    cause: "manual",
    since: 1,
  });
  for (let index = 0; index < 250; index++) await suppress(store.convex, index);
  const follower = start(store);
  await until(async () => (await bus.bucket("SYNC").get("cursor"))?.sequence === 250);
  expect((await contents("SUPPRESSIONS")).size).toBe(250);
  expect(await bus.bucket("SUPPRESSIONS").get(key)).toBeUndefined();
  await until(() => follower.problem() === undefined);
});

test("a change reaches its bucket while it is followed, and a removal too", async () => {
  const store = startStore();
  start(store);
  await suppress(store.convex, 1);
  await until(() => isSuppressed(1));
  await asGateway(store.convex).mutation(api.service.removeSuppression, { address: addressOf(1) });
  await until(async () => !(await isSuppressed(1)));
});

test("a bounce of the recipient's fault becomes a suppression that the gateway and the mta can read", async () => {
  const store = startStore();
  start(store);
  await store.convex.mutation(internal.record.apply, { events: JSON.stringify([sample("mail.bounced")]) });
  await until(() => isSuppressed(0));
  const gateway = await nats.connect("gateway");
  expect(await gateway.bucket("SUPPRESSIONS").get(suppressionKey(addressOf(0)))).toMatchObject({
    cause: "bounce",
  });
});

test("keys of a domain come back through the bucket, sealed, and only the first set", async () => {
  const store = startStore();
  start(store);
  const gateway = asGateway(store.convex);
  const domain = { domain: "example.com", returnPathHost: "bounces.example.com", records: [] };
  await gateway.mutation(api.service.addDomain, domain);
  await until(async () => (await bus.bucket("DOMAINS").get("example.com"))?.keys.length === 0);
  const other = [{ selector: "x", algorithm: "rsa-sha256", publicKey: "WA==", sealedPrivateKey: "sealed x" }];
  await store.convex.mutation(internal.record.apply, {
    events: JSON.stringify([
      sample("domain.keyed"),
      sample("domain.keyed", { id: "second.keyed", keys: other }),
    ]),
  });
  await until(async () => (await bus.bucket("DOMAINS").get("example.com"))?.keys.length === 2);
  expect(await bus.bucket("DOMAINS").get("example.com")).toMatchObject({
    verified: false,
    returnPathHost: "bounces.example.com",
    keys: [{ sealedPrivateKey: "sealed one" }, { sealedPrivateKey: "sealed two" }],
  });
});

test("an API key is readable by the hash of its secret until it is removed", async () => {
  const store = startStore();
  start(store);
  const gateway = asGateway(store.convex);
  const hash = "ab".repeat(32);
  await gateway.mutation(api.service.addApiKey, {
    apiKeyId: "k1",
    name: "Shop",
    prefix: "tyto_a",
    hash,
    scopes: ["emails:send"],
  });
  await until(async () => (await bus.bucket("API_KEYS").get(hash))?.apiKeyId === "k1");
  await gateway.mutation(api.service.removeApiKey, { apiKeyId: "k1" });
  await until(async () => (await bus.bucket("API_KEYS").get(hash)) === undefined);
});

test("after a stop it goes on where it was, without filling the buckets again", async () => {
  const store = startStore();
  await suppress(store.convex, 1);
  const first = start(store);
  await until(() => isSuppressed(1));
  await until(async () => (await bus.bucket("SYNC").get("cursor")) !== undefined);
  await first.stop();
  await suppress(store.convex, 2);
  const registry = new Registry();
  start(store, registry);
  await until(() => isSuppressed(2));
  // Counted after it was written.
  const counted = 'tyto_recorder_changes_total{bucket="SUPPRESSIONS"} 1';
  await until(async () => (await registry.metrics()).includes(counted));
  expect(await registry.metrics()).toMatch(/^tyto_recorder_snapshots_total 0$/m);
});

test("another store is noticed by its log, and the buckets become what it holds", async () => {
  const before = startStore();
  await suppress(before.convex, 1);
  const first = start(before);
  await until(() => isSuppressed(1));
  await until(async () => (await bus.bucket("SYNC").get("cursor")) !== undefined);
  await first.stop();
  const after = startStore();
  for (const index of [2, 3]) await suppress(after.convex, index);
  start(after);
  await until(async () => (await isSuppressed(2)) && (await isSuppressed(3)) && !(await isSuppressed(1)));
});

test("while Convex refuses the feed readiness says so, and afterwards it goes on by itself", async () => {
  const store = startStore();
  store.refuse(new Error("Could not find public function for 'sync:changes'"));
  const follower = start(store);
  await until(() => follower.problem()?.includes("sync:changes") === true);
  await suppress(store.convex, 1);
  store.refuse(undefined);
  await until(() => isSuppressed(1));
  await until(() => follower.problem() === undefined);
});

test("a value that breaks the bucket's contract is left out and holds up nothing behind it", async () => {
  const store = startStore();
  start(store);
  await store.convex.run(async (ctx) => {
    await ctx.db.insert("changes", {
      sequence: 1,
      bucket: "DOMAINS",
      key: "example.com",
      value: '{"domain":1}',
    });
    await ctx.db.insert("changeHead", { sequence: 1 });
  });
  await suppress(store.convex, 1);
  await until(() => isSuppressed(1));
  expect(await bus.bucket("DOMAINS").get("example.com")).toBeUndefined();
});

const log = { head: 10, oldest: 4, log: "a", changes: [] };
const places: [string, Parameters<typeof isContinued>[0], boolean, Partial<typeof log>?][] = [
  ["no place", undefined, false],
  ["a place in the log", { sequence: 7, log: "a" }, true],
  ["a place at the head", { sequence: 10, log: "a" }, true],
  ["a place right before the oldest change", { sequence: 3, log: "a" }, true],
  ["a place whose next change is gone", { sequence: 2, log: "a" }, false],
  ["a place beyond the head", { sequence: 11, log: "a" }, false],
  ["a place in another log", { sequence: 7, log: "b" }, false],
  [
    "a place in a log that was empty, as long as its first change is there,",
    { sequence: 0, log: "" },
    true,
    { oldest: 1 },
  ],
  ["a place in a log that was empty and has lost changes since", { sequence: 0, log: "" }, false],
];
for (const [name, place, expected, changed] of places)
  test(`${name} ${expected ? "is continued" : "needs all rows"}`, () => {
    expect(isContinued(place, { ...log, ...changed })).toBe(expected);
  });
