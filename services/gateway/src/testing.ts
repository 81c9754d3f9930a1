/**
 * A gateway for tests: its real app on a real nats-server and on Convex functions run by the real engine, in this process.
 * The recorder's two jobs are done on demand: what changed in Convex goes to the buckets, and events go to Convex.
 */
import type { Bus } from "@tyto/bus";
import { startNats, type TestNats } from "@tyto/bus/testing";
import { Domain, type DomainRecord, type Scope, type StoredEvent } from "@tyto/contracts";
import { startConvex, type TestDeployment } from "@tyto/convex/samples.testing.ts";
import { createResolver } from "@tyto/dns";
import { type DnsServer, startDns, type Zone } from "@tyto/dns/testing";
import { Registry, silentLog } from "@tyto/service";
import { exportJWK, generateKeyPair } from "jose";
import type { Api } from "./api.ts";
import type { Spa } from "./spa.ts";
import { openBuckets } from "./testing/buckets.ts";
import { callsOf } from "./testing/calls.ts";
import { openConvex } from "./testing/convex.ts";
import { openEvents } from "./testing/events.ts";
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
  /** How long NATS is waited for; for tests in which it is away. */
  publishMs?: number;
};

const configDefault: WiringConfig = {
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
  storeDisk: undefined,
  // Keys are there at once, but a busy machine takes a while to say so.
  keysWaitMsMax: 30_000,
};

export async function startTestGateway(options: TestGatewayOptions = {}): Promise<TestGateway> {
  const nats = await startNats({ users: options.users ?? false });
  const dns = await startDns(options.zone ?? {});
  const clock = { now: Date.UTC(2027, 0, 15, 8) };
  const outage = { convex: false };
  const registry = new Registry();
  const deployment = startConvex({ now: () => clock.now });
  const bus = await nats.connect("gateway", {
    now: () => clock.now,
    publishMs: options.publishMs ?? 30_000,
  });
  const recorder = await nats.connect("recorder");
  const convex = openConvex(deployment, recorder, { ...options, isAway: () => outage.convex });
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  const wired = await wire(
    {
      ...partsOf(bus, registry, clock),
      convex: convex.port,
      tokens: createTokens(await exportJWK(privateKey), () => clock.now),
      resolver: createResolver({ servers: dns.servers }),
      spa: options.spa,
    },
    { ...configDefault, ...options.config },
  );
  const events = await openEvents(nats, deployment);
  return {
    ...{ app: wired.app, nats, convex: deployment, dns, registry, clock, outage },
    ...callsOf(wired.app, { site, rootKey }),
    ...openBuckets(recorder, wired),
    makesKeys: convex.makesKeys,
    sweep: () => wired.domainWatch.sweep(),
    settled: () => wired.settled(),
    events: events.all,
    record: events.record,
    async stop() {
      await wired.stop();
      await events.stop();
      await nats.stop();
      await dns.stop();
    },
  };
}

const partsOf = (bus: Bus, registry: Registry, clock: { now: number }) => ({
  bus,
  registry,
  log: silentLog,
  now: () => clock.now,
  checks: { nats: () => (bus.isConnected() ? undefined : "disconnected") },
});
