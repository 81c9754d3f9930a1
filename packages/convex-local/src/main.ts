import { randomBytes } from "node:crypto";
import { loadConfig } from "./config.ts";
import { waitAtMost } from "./deadline.ts";
import { Door } from "./doors/door.ts";
import { log } from "./log.ts";
import { Keeper } from "./watchdog/keeper.ts";

/** What the leash does not end, such as an endless loop of an action, is ended so much later. */
const STALL_CPU_MS_EXTRA = 2000;
const STALL_MS_MAX = 60_000;
/** Last bytes of answers are taken by their clients in this time. */
const GOODBYE_MS_MAX = 1000;

const config = loadConfig();
// Its name cannot be guessed, so no client can say that it is another.
const field = `x-door-${randomBytes(16).toString("hex")}`;
const door = new Door({ ...config, field });
const reachable = config.host === "0.0.0.0" || config.host === "::" ? "127.0.0.1" : config.host;
const url = `http://${reachable}:${door.port}`;
const siteUrl = `http://${reachable}:${door.sitePort}`;
const keeper = new Keeper({
  door,
  field,
  origins: { cloudOrigin: config.cloudOrigin ?? url, siteOrigin: config.siteOrigin ?? siteUrl },
  limits: {
    stallCpuMsMax: config.functionMsMax + STALL_CPU_MS_EXTRA,
    stallMsMax: STALL_MS_MAX,
    callMemoryBytesMax: config.callMemoryBytesMax,
    memoryBytesMax: config.memoryBytesMax,
  },
  log,
});

let isStopping = false;
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.on(signal, () => {
    if (isStopping) return;
    isStopping = true;
    door.close();
    keeper
      .stop()
      .then(async (code) => {
        await waitAtMost(door.dismiss(), GOODBYE_MS_MAX);
        door.end();
        process.exit(code === 0 ? 0 : 1);
      })
      .catch((error: unknown) => {
        log("convex.stop-failed", { error });
        process.exit(1);
      });
  });
}

try {
  await keeper.start();
} catch (error) {
  log("convex.start-failed", { error });
  process.exit(1);
}
process.stdout.write(`${JSON.stringify({ event: "convex.ready", url, siteUrl })}\n`);
