/**
 * A gateway for tests: its real app on a real nats-server and on Convex functions run by the real engine, in this process.
 * The recorder's two jobs are done on demand: what changed in Convex goes to the buckets, and events go to Convex.
 */
import type { Bus } from "@tyto/bus";
import { startNats, type TestNats } from "@tyto/bus/testing";
import {
  Address,
  type ApiKeyRecord,
  Domain,
  type DomainRecord,
  defaultOrganization,
  events as eventContracts,
  Failure,
  isSubject,
  type Scope,
  type StoredEvent,
  suppressionKey,
} from "@tyto/contracts";
import { api, internal } from "@tyto/convex/api";
import {
  asGateway,
  asRecorder,
  sample,
  startConvex,
  type TestDeployment,
} from "@tyto/convex/samples.testing.ts";
import { createResolver } from "@tyto/dns";
import { type DnsServer, startDns, type Zone } from "@tyto/dns/testing";
import { Registry, silentLog } from "@tyto/service";
import { exportJWK, generateKeyPair } from "jose";
import { connect } from "nats";
import type { Api } from "./api.ts";
import { asFailure, type Convex } from "./convex.ts";
import { sha256 } from "./idempotency.ts";
import { newApiKey } from "./keys.ts";
import type { Spa } from "./spa.ts";
import { createTokens } from "./tokens.ts";
import { type WiringConfig, wire } from "./wiring.ts";

export const rootKey = "root-key-of-the-tests-0123456789";
export const site = "http://tyto.test";
export const verpKey = "verp-key-of-the-tests-0123456789";
export const mailHostname = Domain.parse("mail.tyto.test");

export type TestGateway = {
  app: Api;
  nats: TestNats;
  convex: TestDeployment;
  dns: DnsServer;
  registry: Registry;
  /** The clock that the gateway sees. */
  clock: { now: number };
  /** While true, Convex does not answer. */
  outage: { convex: boolean };
  /** As the root key, with a JSON body if one is given. */
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>;
  /** A request as it is. */
  request(path: string, init?: RequestInit): Promise<Response>;
  /** An API key that the buckets know. */
  key(...scopes: Scope[]): Promise<string>;
  addDomain(domain: string, more?: Partial<DomainRecord>): Promise<void>;
  suppress(address: string): Promise<void>;
  /** Takes a key out of the bucket and waits until the gateway knows. */
  revoke(key: string): Promise<void>;
  /** Waits until the gateway takes the domain's records for published, or not. */
  whenVerified(domain: string, verified: boolean): Promise<void>;
  /** Waits until the gateway knows that a key of this selector signs for the domain. */
  whenSigning(domain: string, selector: string): Promise<void>;
  /** The domain as the bucket has it. */
  domainRecord(domain: string): Promise<DomainRecord | undefined>;
  /** Whether domains that were added get keys, as the mta makes them; those that wait get theirs at once. */
  makesKeys(does: boolean): Promise<void>;
  /** Looks at the DNS of domains that are due, as happens every few minutes. */
  sweep(): Promise<void>;
  /** Resolves when what the gateway does behind its answers is done. */
  settled(): Promise<void>;
  /** Every event of the stream so far, in order. */
  events(): Promise<StoredEvent[]>;
  /** Takes all events to Convex, as the recorder does. */
  record(): Promise<void>;
  /** The first administrator, signed in: the value of a Cookie header. */
  signIn(): Promise<string>;
  stop(): Promise<void>;
};

export type TestGatewayOptions = {
  config?: Partial<WiringConfig>;
  zone?: Zone;
  spa?: Spa;
  /** True: with ops/nats.conf, each user with its own rights only. */
  users?: boolean;
  /** True: the mta is there, and gives keys to domains that are added. */
  makesKeys?: boolean;
  /** False: what changes in Convex does not come back to the buckets. */
  syncs?: boolean;
};

const arriveMsMax = 5_000;
const signingKey = {
  selector: "tyto1",
  algorithm: "rsa-sha256",
  publicKey: "UFVC",
  sealedPrivateKey: "sealed",
} as const;

const nextKeys = (domain: string, rotation: number) =>
  sample("domain.keyed", {
    id: `${domain}.${rotation}.keyed`,
    domain,
    rotation,
    keys: [{ ...signingKey, selector: `tyto${rotation}r`, publicKey: `TkVX${rotation}` }],
  });

export async function startTestGateway(options: TestGatewayOptions = {}): Promise<TestGateway> {
  const nats = await startNats({ users: options.users ?? false });
  const dns = await startDns(options.zone ?? {});
  const clock = { now: Date.UTC(2027, 0, 15, 8) };
  const outage = { convex: false };
  const convex = startConvex({ now: () => clock.now });
  const bus = await nats.connect("gateway", { now: () => clock.now, publishMs: 2_000 });
  const recorder = await nats.connect("recorder");
  const registry = new Registry();

  const gateway = asGateway(convex);
  const sync = createSync(convex, recorder);
  let makesKeys = options.makesKeys ?? false;
  const giveKeys = async () => {
    for (const { domain, keys, rotation } of await gateway.query(api.service.listDomains, {})) {
      if (makesKeys && keys.length === 0)
        await convex.mutation(internal.record.apply, {
          events: JSON.stringify([sample("domain.keyed", { domain })]),
        });
      if (makesKeys && rotation?.keys.length === 0)
        await convex.mutation(internal.record.apply, {
          events: JSON.stringify([nextKeys(domain, rotation.number)]),
        });
    }
    await sync();
  };
  const answer = async <R>(ask: () => Promise<R>): Promise<R> => {
    if (outage.convex) throw new Failure("upstream.down", "Convex is away");
    return ask().catch((error: unknown) => {
      throw asFailure(error);
    });
  };
  const asConvex: Convex = {
    query: (fn, args) => answer(() => gateway.query(fn, args)),
    mutation: (fn, args) =>
      answer(async () => {
        const result = await gateway.mutation(fn, args);
        if (options.syncs !== false) await sync();
        if (makesKeys) await giveKeys();
        return result;
      }),
  };
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  const { app, apiKeys, domainRecords, domainWatch, settled, stop } = await wire(
    {
      bus,
      convex: asConvex,
      tokens: createTokens(await exportJWK(privateKey), () => clock.now),
      resolver: createResolver({ servers: dns.servers }),
      spa: options.spa,
      checks: { nats: () => (bus.isConnected() ? undefined : "disconnected") },
      registry,
      log: silentLog,
      now: () => clock.now,
    },
    {
      siteUrl: site,
      convexUrl: "http://127.0.0.1:9",
      authSecret: "secret-of-the-tests-0123456789",
      rootApiKey: rootKey,
      mailHostname,
      verpKey,
      bulkRules: "refuse",
      rotateDays: 180,
      rateLimitPerS: 1_000_000,
      trustProxy: false,
      keysWaitMsMax: 300,
      ...options.config,
    },
  );

  const request = async (path: string, init: RequestInit = {}) => app.request(`${site}${path}`, init, {});
  const login = nats.login("admin");
  const admin = await connect({
    servers: login.url,
    ...(login.user === undefined ? {} : { user: login.user, pass: login.password ?? "" }),
  });
  const streams = await admin.jetstreamManager();
  const stored: StoredEvent[] = [];
  let read = 0;
  let recorded = 0;
  const events = async () => {
    const { state } = await streams.streams.info("EVENTS");
    for (; read < state.last_seq; read++) {
      const message = await streams.streams.getMessage("EVENTS", { seq: read + 1 });
      if (!isSubject(message.subject)) throw new Error(`${message.subject} is no event`);
      const contract = eventContracts[message.subject];
      for (const line of message.string().split("\n"))
        stored.push({ subject: message.subject, payload: contract.parse(JSON.parse(line)) } as StoredEvent);
    }
    return [...stored];
  };

  return {
    app,
    nats,
    convex,
    dns,
    registry,
    clock,
    outage,
    request,
    call: (method, path, body, headers = {}) =>
      request(path, {
        method,
        headers: {
          authorization: `Bearer ${rootKey}`,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      }),
    async key(...scopes) {
      const { key, hash, apiKeyId } = newApiKey();
      const record: ApiKeyRecord = {
        apiKeyId,
        organizationId: defaultOrganization,
        name: "test",
        scopes,
        createdAt: 0,
      };
      await recorder.bucket("API_KEYS").put(hash, record);
      await apiKeys.waitFor(hash, (known) => known !== undefined, arriveMsMax);
      return key;
    },
    async addDomain(domain, more = {}) {
      await recorder.bucket("DOMAINS").put(domain, {
        domain: Domain.parse(domain),
        organizationId: defaultOrganization,
        returnPathHost: Domain.parse(`bounces.${domain}`),
        keys: [signingKey],
        verified: true,
        ...more,
      });
      const keyCount = more.keys?.length ?? 1;
      await domainRecords.waitFor(domain, (known) => known?.keys.length === keyCount, arriveMsMax);
    },
    async suppress(address) {
      await recorder.bucket("SUPPRESSIONS").put(suppressionKey(address), {
        address: Address.parse(address),
        cause: "manual",
        since: 0,
      });
    },
    async revoke(key) {
      const hash = sha256(key);
      await recorder.bucket("API_KEYS").delete(hash);
      await apiKeys.waitFor(hash, (known) => known === undefined, arriveMsMax);
    },
    async whenVerified(domain, verified) {
      await domainRecords.waitFor(domain, (known) => known?.verified === verified, arriveMsMax);
    },
    async whenSigning(domain, selector) {
      const signs = (known: DomainRecord | undefined) =>
        known?.keys.some((key) => key.selector === selector) ?? false;
      if (!signs(await domainRecords.waitFor(domain, signs, arriveMsMax)))
        throw new Error(`${selector} does not sign`);
    },
    domainRecord: (domain) => recorder.bucket("DOMAINS").get(domain),
    async makesKeys(does) {
      makesKeys = does;
      await giveKeys();
    },
    sweep: () => domainWatch.sweep(),
    settled: () => settled(),
    events,
    async record() {
      const all = await events();
      const fresh = all.slice(recorded);
      recorded = all.length;
      if (fresh.length > 0) await convex.mutation(internal.record.apply, { events: JSON.stringify(fresh) });
    },
    async signIn() {
      const account = { name: "Ada", email: "ada@tyto.test", password: "correct horse battery" };
      const answer = await request("/api/setup", {
        method: "POST",
        headers: { "content-type": "application/json", origin: site },
        body: JSON.stringify(account),
      });
      if (!answer.ok) throw new Error(`setup answered ${answer.status}: ${await answer.text()}`);
      return answer.headers
        .getSetCookie()
        .map((cookie) => cookie.split(";")[0])
        .join("; ");
    },
    async stop() {
      await stop();
      await admin.drain();
      await nats.stop();
      await dns.stop();
    },
  };
}

/** Brings what changed in Convex since the last call to the buckets, as the recorder does. */
function createSync(convex: TestDeployment, recorder: Bus): () => Promise<void> {
  let after = 0;
  return async () => {
    const { changes } = await asRecorder(convex).query(api.sync.changes, { after });
    for (const { sequence, bucket, key, value } of changes) {
      if (value === null) await recorder.bucket(bucket).delete(key);
      else await recorder.bucket(bucket).put(key, JSON.parse(value));
      after = sequence;
    }
  };
}
