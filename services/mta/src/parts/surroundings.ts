import { type Bus, connectBus } from "@tyto/bus";
import { newMessageId } from "@tyto/contracts";
import { createResolver, type Resolver } from "@tyto/dns";
import { type Log, type Registry, serveHealth } from "@tyto/service";
import type { Config } from "../config.ts";
import { createStarting } from "./starting.ts";

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
  const starting = createStarting(log);
  health.addCheck("start", starting.problem);
  const connected = await connectBus({ ...config.nats, name: "mta", log, registry: health.registry });
  const bus: Bus = {
    ...connected,
    // After an update the bucket may not be there yet: then it is waited for until somebody makes it.
    bucket(name) {
      const bucket = connected.bucket(name);
      return {
        ...bucket,
        watch: (onChange) => starting.waits(`the bucket ${name}`, bucket.watch(onChange)),
      };
    },
  };
  health.addCheck("nats", () => (bus.isConnected() ? undefined : "disconnected"));
  health.addCheck("lanes", () => {
    const refused = bus.durablesRefused();
    return refused.length === 0 ? undefined : `NATS does not serve ${refused.join(", ")}`;
  });
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
    /** It takes mail and answers from now on. */
    ready: starting.end,
    beginStop: () => stopping.abort(),
    async leave() {
      await bus.drain();
      await health.stop();
    },
  };
}
