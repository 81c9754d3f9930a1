import { connectBus } from "@tyto/bus";
import { createResolver } from "@tyto/dns";
import { type Log, type Running, serveHealth } from "@tyto/service";
import { authenticator } from "./authenticate.ts";
import { loadCertificate } from "./certificate.ts";
import type { Config } from "./config.ts";
import { intake } from "./intake.ts";
import { openPort } from "./port.ts";
import { admit, type Directory } from "./recipients.ts";

/** Wires the port to the bus. Throws when NATS cannot be reached or the port is taken. */
export async function start(config: Config, log: Log): Promise<Running & { port: number }> {
  const health = serveHealth("bounce", config.health.host, config.health.port);
  const bus = await connectBus({ ...config.nats, name: "bounce", log, registry: health.registry });
  health.addCheck("nats", () => (bus.isConnected() ? undefined : "disconnected"));

  const returnPathHosts = new Map<string, string>();
  const watch = await bus.bucket("DOMAINS").watch((domain, record) => {
    if (record === undefined) returnPathHosts.delete(domain);
    else returnPathHosts.set(domain, record.returnPathHost);
  });
  const directory: Directory = {
    verpKey: config.verpKey,
    hostname: config.hostname,
    configured: new Set(config.recipients.map((address) => address.toLowerCase())),
    isOwnDomain: (domain) => returnPathHosts.has(domain),
    isReturnPathHost: (host) => [...returnPathHosts.values()].some((one) => one === host),
  };

  const port = await openPort({
    ...config,
    certificate: await loadCertificate(config.tlsDir, config.hostname),
    isOurs: (ip) => ip.startsWith("127.") || ip === "::1",
    admit: (address) => admit(address, directory),
    take: intake({
      putRaw: bus.raw.put,
      publish: bus.publish,
      authenticate: authenticator(createResolver({ servers: config.dnsServers }), config.hostname, log),
      now: Date.now,
    }),
    log,
    registry: health.registry,
  });
  log.info("smtp.listening", { host: config.host, port: port.port });

  return {
    port: port.port,
    async stop() {
      await port.stop();
      watch.stop();
      await bus.drain();
      await health.stop();
    },
  };
}
