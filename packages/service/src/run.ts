import { collectDefaultMetrics, Registry } from "prom-client";
import { ConfigError } from "./config.ts";
import { collectGarbage } from "./garbage.ts";
import { createLog, type Level, type Log } from "./log.ts";

/** A named question asked by /readyz. Resolving to a string means not ready, and says why. */
export type Check = () => string | undefined | Promise<string | undefined>;

export type Health = {
  registry: Registry;
  /** Where it listens: `http://127.0.0.1:PORT`. */
  url: string;
  addCheck(name: string, check: Check): void;
  stop(): Promise<void>;
};

const checkMsMax = 2_000;
/** Bun counts the whole heap, object by object, to answer these: 50 ms of standstill for 300,000 objects. */
const dearMetrics = ["total", "used", "available"].map((what) => `nodejs_heap_space_size_${what}_bytes`);

/** `/healthz` (the process lives), `/readyz` (it can work; lists what is wrong) and `/metrics` (Prometheus text). */
export function serveHealth(service: string, host: string, port: number): Health {
  const registry = new Registry();
  registry.setDefaultLabels({ service });
  collectDefaultMetrics({ register: registry });
  for (const metric of dearMetrics) registry.removeSingleMetric(metric);
  const checks = new Map<string, Check>();

  const answer = async (name: string, check: Check): Promise<[string, string | undefined]> => {
    const late = new Promise<string>((resolve) => setTimeout(resolve, checkMsMax, "no answer").unref());
    return [
      name,
      await Promise.race([Promise.resolve().then(check), late]).catch((error: unknown) => String(error)),
    ];
  };

  const server = Bun.serve({
    hostname: host,
    port,
    routes: {
      "/healthz": () => Response.json({ service, status: "alive" }),
      "/readyz": async () => {
        // Who has nothing to ask yet has only begun to start.
        const asked: [string, Check][] = checks.size > 0 ? [...checks] : [["start", () => "still starting"]];
        const answers = await Promise.all(asked.map(([name, check]) => answer(name, check)));
        const ready = answers.every(([, problem]) => problem === undefined);
        const report = Object.fromEntries(answers.map(([name, problem]) => [name, problem ?? "ok"]));
        return Response.json(
          { service, status: ready ? "ready" : "not ready", checks: report },
          { status: ready ? 200 : 503 },
        );
      },
      "/metrics": async () =>
        new Response(await registry.metrics(), { headers: { "content-type": registry.contentType } }),
    },
    fetch: () => new Response("Not found. Try /healthz, /readyz or /metrics.\n", { status: 404 }),
  });
  return {
    registry,
    url: `http://${host}:${server.port}`,
    addCheck: (name, check) => void checks.set(name, check),
    stop: () => server.stop(true),
  };
}

export type Running = { stop(): Promise<void> };

const drainMsMax = 20_000;

/**
 * The life of a service process: read the settings, start, serve until SIGTERM or SIGINT, then stop in an orderly way,
 * at most `drainMsMax`. A wrong setting ends it with exit code 78 (EX_CONFIG) and a list of what to mend.
 */
export async function runService<Config extends { logLevel: Level }>(
  service: string,
  readConfig: () => Config,
  start: (config: Config, log: Log) => Promise<Running>,
): Promise<void> {
  let log = createLog(service);
  let running: Running;
  try {
    const config = readConfig();
    log = createLog(service, config.logLevel);
    running = await start(config, log);
  } catch (error) {
    if (error instanceof ConfigError) {
      log.error("service.misconfigured", { problems: error.problems });
      process.exit(78);
    }
    log.error("service.failed", { error });
    process.exit(1);
  }
  collectGarbage();
  log.info("service.started");

  const end = async (signal: string) => {
    log.info("service.stopping", { signal });
    const late = setTimeout(() => {
      log.error("service.stop-took-too-long", { drainMsMax });
      process.exit(1);
    }, drainMsMax);
    await running.stop();
    clearTimeout(late);
    log.info("service.stopped");
    process.exit(0);
  };
  let ending = false;
  for (const signal of ["SIGTERM", "SIGINT"] as const)
    process.on(signal, () => {
      if (ending) return;
      ending = true;
      void end(signal);
    });
}
