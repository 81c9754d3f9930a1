/** Wiring: from the connections to the app. Each start is paired with its stop. */
import type { Bus } from "@tyto/bus";
import type { ApiKeyRecord, DomainRecord } from "@tyto/contracts";
import type { Resolver } from "@tyto/dns";
import type { Check, Log, Registry, Tracer } from "@tyto/service";
import type { Api } from "./api.ts";
import { createApp } from "./app.ts";
import { createAuth } from "./auth.ts";
import { convexAuthStore } from "./auth-store.ts";
import { isOwnOrigin } from "./caller.ts";
import type { GatewayConfig } from "./config.ts";
import type { Convex } from "./convex.ts";
import { type DomainWatch, watchDomains } from "./domain-watch.ts";
import { createDomains } from "./domains.ts";
import { createIdempotency } from "./idempotency.ts";
import { callerOf } from "./keys.ts";
import { createMetrics } from "./metrics.ts";
import { type Mirror, mirror } from "./mirror.ts";
import { createOperation } from "./operation/operation.ts";
import { createRateLimit } from "./rate-limit.ts";
import { createRecent } from "./recent.ts";
import type { Spa } from "./spa.ts";
import { createStore } from "./store.ts";
import { createSuppressions } from "./suppressions.ts";
import type { Tokens } from "./tokens.ts";
import { createTouches } from "./touches.ts";

export type Connections = {
  bus: Bus;
  convex: Convex;
  tokens: Tokens;
  resolver: Pick<Resolver, "txt" | "mx">;
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
  const { bus, convex, tokens, resolver, spa, checks, registry, log, now } = connections;
  const store = createStore(convex);
  const apiKeys = await mirror(bus.bucket("API_KEYS"));
  const keyed = createKeyedDomains();
  const domainRecords = await mirror(bus.bucket("DOMAINS"), keyed.see);
  const domains = createDomains({
    store,
    mirror: domainRecords,
    resolver,
    mailHostname: config.mailHostname,
    now,
    keysWaitMsMax: config.keysWaitMsMax,
  });
  keyed.follow((domain) => {
    domains.check(domain).catch((error: unknown) => log.warn("domain.check-failed", { domain, error }));
  });
  const domainWatch = watchDomains(
    { domains, listDomains: store.listDomains, now, random: Math.random, log },
    config.rotateDays,
  );
  const suppressions = createSuppressions(bus.bucket("SUPPRESSIONS"), store);
  const auth = createAuth({
    store: convexAuthStore(convex),
    siteUrl: config.siteUrl,
    secret: config.authSecret,
    log,
    now,
  });
  const recent = createRecent(now);
  const metrics = createMetrics(registry);
  const touches = createTouches(store.touchApiKey, now, (error) => log.warn("key.touch-failed", { error }));

  const app = createApp({
    guards: {
      callers: {
        ofKey: (key) => callerOf(key, config.rootApiKey, apiKeys.get),
        ofCookies: auth.person,
        isOwnOrigin: (request) => isOwnOrigin(request, config.siteUrl),
      },
      rateLimit: createRateLimit(config.rateLimitPerS, bus, now),
      onCaller: (caller) => {
        if (caller.kind === "key" && caller.id !== "root") touches.note(caller.id);
      },
    },
    submission: {
      verpKey: config.verpKey,
      siteUrl: config.siteUrl,
      bulkRules: config.bulkRules,
      findDomain: domains.signing,
      isSuppressed: suppressions.has,
      putBody: bus.bodies.put,
      putBodies: bus.bodies.putPack,
      publishAll: bus.publishAll,
      publish: bus.publish,
      now,
      idempotency: createIdempotency(bus.bucket("IDEMPOTENCY"), now),
      recent,
      count: (outcome, by = 1) => metrics.messages.inc({ outcome }, by),
    },
    emails: { store, recent, claims: bus.bucket("CLAIMS"), publish: bus.publish, now },
    store,
    suppressions,
    domains,
    apiKeys,
    operation: createOperation({ control: bus.control, now }),
    unsubscribe: { verpKey: config.verpKey, publish: bus.publish, now },
    auth,
    tokens,
    convexUrl: config.convexUrl,
    spa,
    checks,
    metrics,
    tracer: connections.tracer,
    log,
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
