/** From settings to listening, and back. */
import { connectBus } from "@tyto/bus";
import { createResolver } from "@tyto/dns";
import { type Check, createTracer, type Log, type Running, serveHealth } from "@tyto/service";
import type { GatewayConfig } from "./config.ts";
import { createConvex } from "./convex.ts";
import { createRelay, type Relay } from "./proxy.ts";
import { loadSpa } from "./spa.ts";
import { createTokens } from "./tokens.ts";
import { wire } from "./wiring.ts";

export type Gateway = Running & {
  /** Where the API listens. */
  url: string;
  /** Where the dashboard listens, if it is served. */
  webUrl: string | undefined;
  healthUrl: string;
};

/** Requests in hand are finished before the process ends, at most this long. */
const lastRequestsMsMax = 5_000;
const idleSMax = 120;
/** The routes have bounds of their own, all of them lower. */
const bodyBytesMax = 64 * 1_048_576;

/** Throws when NATS is not there, when a port is taken or when WEB_ROOT holds no dashboard. */
export async function start(config: GatewayConfig, log: Log, now: () => number = Date.now): Promise<Gateway> {
  const spa = config.web === undefined ? undefined : await loadSpa(config.web.root);
  const health = serveHealth("gateway", config.health.host, config.health.port);
  const bus = await connectBus({ ...config.nats, name: "gateway", log, registry: health.registry });
  const checks: Record<string, Check> = {
    nats: () => (bus.isConnected() ? undefined : "disconnected"),
  };
  for (const [name, check] of Object.entries(checks)) health.addCheck(name, check);
  const tokens = createTokens(config.jwtKey, now);
  const tracer = createTracer("gateway", config.tracing, log);
  const { app, stop } = await wire(
    {
      bus,
      convex: createConvex(config.convexUrl, tokens.forService),
      tokens,
      resolver: createResolver({ servers: config.dnsServers, now }),
      spa,
      checks,
      registry: health.registry,
      tracer,
      log,
      now,
    },
    config,
  );

  const relay = createRelay();
  const listen = (port: number) =>
    Bun.serve<Relay>({
      hostname: config.listen.host,
      port,
      idleTimeout: idleSMax,
      maxRequestBodySize: bodyBytesMax,
      fetch: (request, server) => app.fetch(request, { server }),
      websocket: relay.handlers,
    });
  const api = listen(config.listen.port);
  const web = config.web === undefined ? undefined : listen(config.web.port);

  return {
    url: `http://${config.listen.host}:${api.port}`,
    webUrl: web && `http://${config.listen.host}:${web.port}`,
    healthUrl: health.url,
    async stop() {
      const finished = Promise.all([api.stop(), web?.stop()]);
      relay.closeAll();
      await Promise.race([finished, Bun.sleep(lastRequestsMsMax)]);
      await Promise.all([api.stop(true), web?.stop(true)]);
      await stop();
      await tracer.stop();
      await bus.drain();
      await health.stop();
    },
  };
}
