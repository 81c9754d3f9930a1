import { type Bus, connectBus } from "@tyto/bus";
import { newMessageId } from "@tyto/contracts";
import { createResolver, type Resolver } from "@tyto/dns";
import { type Log, type Registry, serveHealth } from "@tyto/service";
import type { Config } from "../config.ts";

export const smtpPort = 25;
const restMsMax = 30_000;

/** What every part of the mta is given: the settings, and the way to the world outside of it. */
export type Surroundings = {
  config: Config;
  log: Log;
  bus: Bus;
  resolver: Resolver;
  registry: Registry;
  /** Names this process until it ends. */
  processId: string;
  /** How long a host, or a site that takes nothing, is left alone at first. */
  restMs: number;
  /** Aborted when the mta stops. */
  stopping: AbortSignal;
  now: () => number;
  /** From 0 up to 1. */
  random: () => number;
};

/**
 * Serves health and metrics at `url`, and connects to the bus. `leave` undoes it, at the end. Throws Failure `upstream.down`
 * when NATS cannot be reached.
 */
export async function findSurroundings(config: Config, log: Log) {
  const health = serveHealth("mta", config.health.host, config.health.port);
  const bus = await connectBus({ ...config.nats, name: "mta", log, registry: health.registry });
  health.addCheck("nats", () => (bus.isConnected() ? undefined : "disconnected"));
  const stopping = new AbortController();
  const surroundings: Surroundings = {
    ...{ config, log, bus },
    resolver: createResolver({ servers: config.dnsServers, validates: config.dnsValidates }),
    registry: health.registry,
    processId: newMessageId(Date.now()),
    restMs: Math.min(restMsMax, config.firstWaitMs / 2),
    stopping: stopping.signal,
    now: Date.now,
    random: Math.random,
  };
  return {
    surroundings,
    url: health.url,
    beginStop: () => stopping.abort(),
    async leave() {
      await bus.drain();
      await health.stop();
    },
  };
}
