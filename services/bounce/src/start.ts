import { type Bus, connectBus } from "@tyto/bus";
import { createResolver } from "@tyto/dns";
import { type Log, type Running, serveHealth } from "@tyto/service";
import { authenticator } from "./authenticate.ts";
import { loadCertificate, watchCertificate } from "./certificate.ts";
import type { Config } from "./config.ts";
import { intake } from "./intake.ts";
import { openPort } from "./port/port.ts";
import { admit, type Directory } from "./recipients.ts";
import { openSpool } from "./spool/spool.ts";
import { createSweep } from "./sweep.ts";

/** Wires the port to the bus. Throws when NATS cannot be reached or the port is taken. */
export async function start(config: Config, log: Log): Promise<Running & { port: number }> {
  const health = serveHealth("bounce", config.health.host, config.health.port);
  const bus = await connectBus({ ...config.nats, name: "bounce", log, registry: health.registry });
  let isOpen = false;
  health.addCheck("nats", () => (bus.isConnected() ? undefined : "disconnected"));
  health.addCheck("smtp", () => (isOpen ? undefined : "not open yet"));

  const domains = await watchDomains(bus);
  const inboxes = await watchInboxes(bus);
  const configured = new Set(config.recipients.map((address) => address.toLowerCase()));
  const configuredDomains = new Set(
    [...configured].map((pattern) => pattern.slice(pattern.lastIndexOf("@") + 1)),
  );
  const directory: Directory = {
    verpKey: config.verpKey,
    hostname: config.hostname,
    isInbox: (pattern) => configured.has(pattern) || inboxes.has(pattern),
    // Those of Convex are at domains of ours.
    hasInbox: (domain) => configuredDomains.has(domain),
    isOwnDomain: domains.isOwn,
    isReturnPathHost: domains.isReturnPathHost,
  };

  const certificate = await loadCertificate(config.tlsDir, config.hostname);
  const sweep = createSweep();
  const spool = await openSpool({ ...config, dir: config.spoolDir, sweep });
  const resolver = createResolver({ servers: config.dnsServers });
  const port = await openPort({
    ...config,
    certificate,
    spool,
    isOurs: (ip) => ip.startsWith("127.") || ip === "::1",
    admit: (address) => admit(address, directory),
    take: intake({
      // A part is copied once more on its way to the server.
      putRaw: (id, content) => bus.raw.put(id, content, (bytes) => sweep(2 * bytes)),
      publish: bus.publish,
      authenticate: authenticator(resolver, config.hostname, log, Date.now),
      knowledge: directory,
      now: Date.now,
    }),
    log,
    registry: health.registry,
  });
  isOpen = true;
  const certificates = watchCertificate(config.tlsDir, certificate, port.useCertificate, log);
  log.info("smtp.listening", { host: config.host, port: port.port });

  return {
    port: port.port,
    async stop() {
      certificates.stop();
      await port.stop();
      domains.stop();
      inboxes.stop();
      await bus.drain();
      await health.stop();
    },
  };
}

/** Our domains and the hosts of their return paths, which several domains may share. */
async function watchDomains(bus: Bus) {
  const hosts = new Map<string, string>();
  const uses = new Map<string, number>();
  const use = (host: string | undefined, add: 1 | -1) => {
    if (host === undefined) return;
    const count = (uses.get(host) ?? 0) + add;
    if (count > 0) uses.set(host, count);
    else uses.delete(host);
  };
  const watch = await bus.bucket("DOMAINS").watch((domain, record) => {
    use(hosts.get(domain), -1);
    use(record?.returnPathHost, 1);
    if (record === undefined) hosts.delete(domain);
    else hosts.set(domain, record.returnPathHost);
  });
  return {
    isOwn: (domain: string) => hosts.has(domain),
    isReturnPathHost: (host: string) => uses.has(host),
    stop: watch.stop,
  };
}

/** Addresses, and domains as `*@example.com`, that Convex says exist. */
async function watchInboxes(bus: Bus) {
  const patterns = new Map<string, string>();
  const known = new Set<string>();
  const watch = await bus.bucket("INBOXES").watch((key, record) => {
    const before = patterns.get(key);
    if (before !== undefined) known.delete(before);
    patterns.delete(key);
    if (record === undefined) return;
    patterns.set(key, record.pattern.toLowerCase());
    known.add(record.pattern.toLowerCase());
  });
  return { has: (pattern: string) => known.has(pattern), stop: watch.stop };
}
