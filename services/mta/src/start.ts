import { connectBus } from "@tyto/bus";
import { Domain, type DomainRecord, newMessageId } from "@tyto/contracts";
import { createResolver } from "@tyto/dns";
import { encodeReturnPath } from "@tyto/mail";
import { BoundedMap, createTracer, type Log, type Running, serveHealth } from "@tyto/service";
import { attempt } from "./attempt.ts";
import { createBodies } from "./bodies.ts";
import type { Config } from "./config.ts";
import { createContents } from "./contents.ts";
import { createControl } from "./control/control.ts";
import { limitsFrom } from "./control/limits.ts";
import { carry } from "./courier.ts";
import { createDeliveries, type DeliverPorts } from "./deliver.ts";
import { startWayOut } from "./egress/way-out.ts";
import { openGates } from "./gates.ts";
import { intake } from "./intake.ts";
import { createKeymaker } from "./keymaker.ts";
import { createVault } from "./keys.ts";
import { createMetrics } from "./metrics.ts";
import { findAddresses, findPath } from "./mx.ts";
import { openHost } from "./opening.ts";
import type { Failed } from "./outcome.ts";
import { createPast } from "./past.ts";
import { personalFields } from "./personal.ts";
import { createPool } from "./pool.ts";
import { createProviders } from "./providers/choice.ts";
import { createProfiles } from "./shaping/profiles.ts";
import type { SiteKey } from "./shaping/shaping.ts";
import { createElapsed } from "./shares/elapsed.ts";
import { createShares, shareKey } from "./shares/shares.ts";
import { createSigners } from "./signers.ts";
import { attributesOf, beginAttempt, problemOf } from "./spans.ts";
import { createHttps, reachableAddresses } from "./tls/https.ts";
import { createTlsPolicies } from "./tls/policies.ts";
import { createReportMail } from "./tls/report-mail.ts";

const smtpPort = 25;
/** Postfix and the large receivers end idle connections after minutes; ours are of no use longer than a burst. */
const idleMsMax = 15_000;
const restMsMax = 30_000;
/** Messages that are on their way past the queue. */
const intakeAtOnceMax = 10_000;
/** Entries of the queue in hand for each connection: while one is sent, others store their outcomes. */
const entriesPerConnection = 4;
/** Sites whose limits are shared with other processes, by name; as many as there are limits for. */
const sharedSitesMax = 10_000;

/**
 * Starts the mta: wires ports to the bus, DNS and SMTP, and consumes. `url` is where health and metrics are served.
 * Throws Failure `upstream.down` when NATS cannot be reached.
 */
export async function start(config: Config, log: Log): Promise<Running & { url: string }> {
  const health = serveHealth("mta", config.health.host, config.health.port);
  const bus = await connectBus({ ...config.nats, name: "mta", log, registry: health.registry });
  health.addCheck("nats", () => (bus.isConnected() ? undefined : "disconnected"));

  const now = Date.now;
  const tracer = createTracer("mta", config.tracing, log);
  const random = Math.random;
  const stopping = new AbortController();
  const vault = createVault(config.secret);
  const resolver = createResolver({ servers: config.dnsServers, validates: config.dnsValidates });
  const marks = bus.bucket("ATTEMPTS");
  const claims = bus.bucket("CLAIMS");
  const domains = bus.bucket("DOMAINS");
  const suppressions = bus.bucket("SUPPRESSIONS");
  const isSuppressed = async (key: string) => (await suppressions.get(key)) !== undefined;

  const keymaker = createKeymaker({ vault, publish: bus.publish, now, log });
  const watch = await domains.watch((key: string, record: DomainRecord | undefined) => {
    const domain = Domain.safeParse(key);
    if (domain.success) keymaker.see(domain.data, record);
  });
  const bodies = createBodies(bus.bodies);
  const contents = createContents(bodies.load, config.cacheBytesMax, now);
  // The bus checks the payload against the subject's contract; the mark cannot say which of them it holds.
  const publish: DeliverPorts["publish"] = ({ subject, payload }) =>
    bus.publishPacked(subject, payload as never);
  const dropBody: DeliverPorts["dropBody"] = async (entry) => {
    contents.forget(entry.messageId);
    await bodies.drop(entry);
  };
  const processId = newMessageId(now());
  const tls = createTlsPolicies({
    resolver,
    https: createHttps({
      addressesOf: (host) => reachableAddresses(host, resolver, config.allowPrivate),
      authorities: config.authorities,
    }),
    floors: config.tlsFloors,
    policies: bus.bucket("STS_POLICIES"),
    tallies: bus.bucket("TLS_TALLIES"),
    claims: bus.bucket("TLS_REPORTS"),
    reporter: config.tlsReporter,
    mailReport: createReportMail({
      domainOf: domains.get,
      putBody: bus.bodies.put,
      queue: bus.queue.add,
      now,
    }),
    count: (policy, result) => metrics.tlsSessions.inc({ policy, result }),
    process: processId,
    now,
    random,
    log,
  });
  if (config.tlsReporter === undefined)
    log.info("mta.tls-reports-off", {
      hint: "MTA_TLS_REPORT_FROM names the address that TLS reports come from",
    });
  const shares = await createShares({
    bucket: bus.bucket,
    name: config.name,
    inUse: (key) => {
      const site = siteOfShare.get(key);
      return site === undefined ? 0 : pool.connectionsTo(site);
    },
    elapsedMs: createElapsed(() => performance.now(), now),
    now,
    log,
  });
  const siteOfShare = new BoundedMap<string, SiteKey>(sharedSitesMax);
  const shareNameOf = (key: SiteKey) => {
    const name = shareKey(key.egress, key.site);
    siteOfShare.set(name, key);
    return name;
  };
  const gates = await openGates({
    bus,
    profiles: createProfiles({
      connectionsMax: config.siteConnectionsMax,
      limits: config.siteLimits,
      routes: config.routes,
    }),
    rules: config.rules,
    pauseFirstMs: Math.min(restMsMax, config.firstWaitMs / 2),
    shareOf: (key, limit) => shares.shareOf(shareNameOf(key), limit),
    now,
    random,
    log,
  });
  const wayOut = await startWayOut({
    bus,
    plan: config.egress,
    isStrict: config.isEgressStrict,
    resolver,
    poolFor: gates.rules.poolFor,
    now,
    log,
  });
  const control = createControl({
    bus,
    process: processId,
    smtpPort,
    connections: () => ({ ...pool.count(), max: config.concurrency }),
    findPath: (domain) =>
      findPath(domain, {
        resolver,
        routes: config.routes,
        ownHost: config.ehloName,
        smtpPort,
        random,
      }),
    addressesOf: (host) => findAddresses(host, resolver, config.allowPrivate),
    isInHand: (id) => deliveries.isInHand(id),
    act: { markOf: marks.get, putMark: marks.put, publish, dropBody },
    parts: {
      policiesOf: tls.policiesOf,
      pools: wayOut.pools,
      connectionsFrom: (egress) => pool.connectionsFrom(egress),
      limitsOf: limitsFrom({
        shaping: gates.shaping,
        connectionsTo: (egress, site) => pool.connectionsTo({ egress, site }),
        switchesOf: gates.rules.switchesOf,
        staysBecause: wayOut.staysBecause,
      }),
      breakers: gates.breakers.status,
      rules: gates.rules.status,
      tryRules: gates.tryRules,
      holds: gates.holds,
    },
    registry: health.registry,
    log,
    now,
  });
  const pool = createPool<Failed>({
    open: (host, { egress }, signal) =>
      openHost(
        host,
        {
          resolver,
          egress,
          timeouts: config.timeouts,
          allowPrivate: config.allowPrivate,
          authorities: config.authorities,
          see: tls.see,
          transcript: control.transcript,
        },
        signal,
      ),
    connectionsMax: config.concurrency,
    limits: gates.shaping,
    idleMax: config.concurrency,
    idleMsMax,
    restMs: Math.min(restMsMax, config.firstWaitMs / 2),
    onDemand: (key, wanted) => shares.demand(shareNameOf(key), wanted),
    now,
    random,
  });
  shares.onChange((name) => pool.wake(name === undefined ? undefined : siteOfShare.get(name)));
  const metrics = createMetrics(health.registry, bus.queue.depth, pool.count);

  const providers = createProviders(config.providers, {
    resolver,
    ehloName: config.ehloName,
    timeouts: config.timeouts,
    authorities: config.authorities,
    now,
  });
  const tryOnce = attempt({
    signerOf: createSigners((domain) => domains.get(domain), vault, now),
    findPath: control.findPath,
    leave: (entry, site) => gates.isFree(entry, site.id),
    egressFor: (entry, site) => wayOut.choose(entry, site, now(), entry.pool),
    contentOf: contents.get,
    returnPath: (id, host) => encodeReturnPath(id, host, config.verpKey),
    personalFields: (id, host) => personalFields(id, host, config.siteUrl, config.verpKey),
    demandOf: (host, { recipient, requireTls }) =>
      tls.demandOf(host, recipient.slice(recipient.lastIndexOf("@") + 1), requireTls),
    carry: (mailOf, hosts, want, options) =>
      carry(mailOf, hosts, want, pool, { ...options, signal: stopping.signal }),
    providers,
    signal: stopping.signal,
    log,
  });
  const deliveries = createDeliveries({
    markOf: marks.get,
    isSuppressed,
    async claim(messageId, claim) {
      if (await claims.create(messageId, claim)) return claim;
      return (await claims.get(messageId)) ?? claim;
    },
    async attempt(entry, siteWaitMs, hold) {
      const end = control.begin(entry);
      const span = tracer.isOn ? beginAttempt(tracer, entry) : undefined;
      try {
        const attempted = await tryOnce(entry, siteWaitMs, hold);
        span?.end(attributesOf(attempted), problemOf(attempted));
        return attempted;
      } finally {
        span?.end({}, "it broke off");
        end();
      }
    },
    putMark: marks.put,
    publish,
    queue: (entry, atMs) => bus.queue.add([entry], atMs),
    dropBody,
    see(observation) {
      gates.see(observation);
      control.see(observation);
      wayOut.see(observation);
    },
    giveUp: gates.giveUp,
    isWithheld: control.isWithheld,
    now,
    random,
    firstWaitMs: config.firstWaitMs,
    delayNoticeMs: config.delayNoticeMs,
    log,
    metrics,
  });

  const take = intake({
    isSuppressed,
    publish: bus.publish,
    queue: bus.queue.add,
    sendAtOnce: deliveries.atOnce,
    past: createPast(bus.past),
    now,
  });
  const [taking, sending] = await Promise.all([
    bus.consume(
      "mta-intake",
      { "mail.accepted": take, "mail.scanned": ({ message }, arrival) => take(message, arrival) },
      { concurrency: intakeAtOnceMax, tellsEarlier: true },
    ),
    bus.queue.consume({ concurrency: entriesPerConnection * config.concurrency }, deliveries.fromQueue),
  ]);

  const policing = tls.run();
  const answering = control.answer();

  return {
    url: health.url,
    async stop() {
      const stopped = Promise.all([taking.stop(), sending.stop()]);
      // What has not begun to send its message gives its entry back; what has, is finished.
      stopping.abort();
      await stopped;
      await answering.stop();
      watch.stop();
      await keymaker.stop();
      await wayOut.stop();
      await gates.stop();
      await policing.stop();
      pool.close();
      await shares.stop();
      providers.close();
      await bus.drain();
      await tracer.stop();
      await health.stop();
    },
  };
}
