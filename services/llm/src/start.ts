import { ConfigError, type Log, type Running, serveHealth } from "@tyto/service";
import { createApp } from "./app.ts";
import type { Config } from "./config.ts";
import { providers } from "./providers/index.ts";

/** Longest silence on an open connection that Bun allows (seconds); streams of slow models pause for a while. */
const idleS = 255;

/** Answers that run longer are cut off at the end of the process. */
const stopMsMax = 15_000;
const stopCheckMs = 20;

/** Listens. Throws ConfigError for a `custom` provider without its address. */
export async function start(config: Config, log: Log): Promise<Running & { url: string }> {
  if (config.provider === "custom" && config.upstream.baseUrl === undefined)
    throw new ConfigError("llm", ["LLM_BASE_URL is not set (LLM_PROVIDER=custom needs it)"]);
  const health = serveHealth("llm", config.health.host, config.health.port);
  const provider = config.provider === undefined ? undefined : providers[config.provider](config.upstream);
  if (provider === undefined) log.info("llm.off", { hint: "set LLM_PROVIDER to turn it on" });
  const app = createApp({
    provider,
    model: config.upstream.model,
    token: config.token,
    concurrencyMax: config.concurrencyMax,
    answerMsMax: config.answerMsMax,
    log,
    registry: health.registry,
  });
  const server = Bun.serve({
    hostname: config.host,
    port: config.port,
    idleTimeout: idleS,
    fetch: app.fetch,
  });
  let isOpen = true;
  health.addCheck("http", () => (isOpen ? undefined : "stopping"));
  return {
    url: `http://${config.host}:${server.port}`,
    async stop() {
      isOpen = false;
      // Takes no new connections; a kept-alive one without a request would hold it open for ever.
      void server.stop();
      for (const giveUpAtMs = Date.now() + stopMsMax; server.pendingRequests > 0 && Date.now() < giveUpAtMs; )
        await Bun.sleep(stopCheckMs);
      await server.stop(true);
      await health.stop();
    },
  };
}
