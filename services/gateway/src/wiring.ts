/** Wiring: from the connections to the app. Each start is paired with its stop. */
import type { Bus } from "@tyto/bus";
import type { ApiKeyRecord, DomainRecord } from "@tyto/contracts";
import type { Resolver } from "@tyto/dns";
import { type Check, type Log, type Registry, refuseWithoutRoom, type Tracer } from "@tyto/service";
import type { Api } from "./api.ts";
import { type AppPorts, createApp } from "./app.ts";
import { type Auth, createAuth } from "./auth.ts";
import { convexAuthStore } from "./auth-store.ts";
import { isOwnOrigin } from "./caller.ts";
import type { GatewayConfig } from "./config.ts";
import type { Convex } from "./convex.ts";
import { type DomainWatch, watchDomains } from "./domain-watch.ts";
import { createDomains, type Domains } from "./domains.ts";
import { createIdempotency } from "./idempotency.ts";
import { callerOf } from "./keys.ts";
import { createMetrics, type Metrics } from "./metrics.ts";
import { type Mirror, mirror } from "./mirror.ts";
import { createOperation } from "./operation/operation.ts";
import { createRateLimit } from "./rate-limit.ts";
import { createRecent, type Recent } from "./recent.ts";
import { createSenders } from "./senders.ts";
import type { Spa } from "./spa.ts";
import { createStore, type Store } from "./store.ts";
import { createSuppressions, type Suppressions } from "./suppressions.ts";
import type { Tokens } from "./tokens.ts";
import { createTouches } from "./touches.ts";

export type Connections = {
  bus: Bus;
  convex: Convex;
  tokens: Tokens;
  resolver: Pick<Resolver, "txt" | "mx" | "a" | "aaaa">;
  spa: Spa | undefined;
  checks: Readonly<Record<string, Check>>;
  registry: Registry;
  tracer?: Tracer;
  log: Log;
  now: () => number;
};

export type WiringConfig = Pick<
  GatewayConfig,
  | "siteUrl"
  | "convexUrl"
  | "authSecret"
  | "rootApiKey"
  | "mailHostname"
  | "verpKey"
  | "bulkRules"
  | "rotateDays"
  | "rateLimitPerS"
  | "trustProxy"
  | "storeDisk"
> & {
  /** How long a request waits for the keys of a domain that was added just now. */
  keysWaitMsMax?: number;
};

export type Wired = {
  app: Api;
  apiKeys: Mirror<ApiKeyRecord>;
  domainRecords: Mirror<DomainRecord>;
  domainWatch: DomainWatch;
  /** Resolves when nothing is on its way behind the answers. */
  settled(): Promise<void>;
  stop(): Promise<void>;
};

/** Resolves when the buckets that requests depend on are known. */
export async function wire(connections: Connections, config: WiringConfig): Promise<Wired> {
  const { bus, convex, log, now } = connections;
  const store = createStore(convex);
  const known = await watchBuckets(connections, config, store);
  const { apiKeys, domainRecords, domains } = known;
  const domainWatch = watchDomains(
    { domains, listDomains: store.listDomains, now, random: Math.random, log },
    config.rotateDays,
  );
  const metrics = createMetrics(connections.registry);
  const recent = createRecent(now);
  const touches = createTouches(store.touchApiKey, now, (error) => log.warn("key.touch-failed", { error }));
  const suppressions = createSuppressions(bus.bucket("SUPPRESSIONS"), store);
  const auth = createAuth({
    store: convexAuthStore(convex),
    siteUrl: config.siteUrl,
    secret: config.authSecret,
    log,
    now,
  });

  const { tokens, spa, checks, tracer } = connections;
  const app = createApp({
    guards: guardsOf(connections, config, { apiKeys, person: auth.person, touch: touches.note }),
    submission: submissionOf(connections, config, { domains, suppressions, recent, metrics }),
    emails: { store, recent, claims: bus.bucket("CLAIMS"), publish: bus.publish, now },
    ...{ store, suppressions, domains, apiKeys, auth, tokens, spa, checks, metrics, tracer, log },
    operation: createOperation({ control: bus.control, now }),
    unsubscribe: { verpKey: config.verpKey, publish: bus.publish, now },
    convexUrl: config.convexUrl,
    trustProxy: config.trustProxy,
  });

  return {
    app,
    apiKeys,
    domainRecords,
    domainWatch,
    settled: touches.settled,
    async stop() {
      await domainWatch.stop();
      await touches.settled();
      apiKeys.stop();
      domainRecords.stop();
    },
  };
}

/** Keys and domains, as the recorder last wrote them into their buckets. */
async function watchBuckets(
  { bus, resolver, now, log }: Connections,
  { mailHostname, keysWaitMsMax }: WiringConfig,
  store: Store,
) {
  const apiKeys = await mirror(bus.bucket("API_KEYS"));
  const keyed = createKeyedDomains();
  const domainRecords = await mirror(bus.bucket("DOMAINS"), keyed.see);
  const senders = createSenders({ control: bus.control, resolver, mailHostname, now, log });
  const domains = createDomains({
    ...{ store, mirror: domainRecords, resolver, mailHostname, senders, now, keysWaitMsMax },
  });
  keyed.follow((domain) => {
    domains.check(domain).catch((error: unknown) => log.warn("domain.check-failed", { domain, error }));
  });
  return { apiKeys, domainRecords, domains };
}

/** Who asks, how often, and who hears of it. */
function guardsOf(
  { bus, now }: Connections,
  config: WiringConfig,
  parts: { apiKeys: Mirror<ApiKeyRecord>; person: Auth["person"]; touch(id: string): void },
): AppPorts["guards"] {
  return {
    callers: {
      ofKey: (key) => callerOf(key, config.rootApiKey, parts.apiKeys.get),
      ofCookies: parts.person,
      isOwnOrigin: (request) => isOwnOrigin(request, config.siteUrl),
    },
    rateLimit: createRateLimit(config.rateLimitPerS, bus, now),
    onCaller: (caller) => {
      if (caller.kind === "key" && caller.id !== "root") parts.touch(caller.id);
    },
  };
}

/** What accepting mail needs. */
function submissionOf(
  { bus, now }: Connections,
  { verpKey, siteUrl, bulkRules, storeDisk }: WiringConfig,
  parts: { domains: Domains; suppressions: Suppressions; recent: Recent; metrics: Metrics },
): AppPorts["submission"] {
  return {
    ...{ verpKey, siteUrl, bulkRules, now },
    findDomain: parts.domains.signing,
    isSuppressed: parts.suppressions.has,
    putBody: bus.bodies.put,
    putBodies: bus.bodies.putPack,
    publishAll: bus.publishAll,
    publish: bus.publish,
    idempotency: createIdempotency(bus.bucket("IDEMPOTENCY"), now),
    recent: parts.recent,
    refuseWithoutRoom: () => refuseWithoutRoom(storeDisk),
    count: (outcome, by = 1) => parts.metrics.messages.inc({ outcome }, by),
  };
}

/** Domains whose keys arrived while we were watching: their DNS records can be told from then on. */
function createKeyedDomains() {
  const known = new Set<string>();
  let tell: ((domain: DomainRecord["domain"]) => void) | undefined;
  return {
    see(key: string, record: DomainRecord | undefined) {
      if (record === undefined || record.keys.length === 0) known.delete(key);
      else if (!known.has(key)) {
        known.add(key);
        tell?.(record.domain);
      }
    },
    /** From now on; what was there at the start is looked at when somebody asks. */
    follow(onKeys: (domain: DomainRecord["domain"]) => void) {
      tell = onKeys;
    },
  };
}
