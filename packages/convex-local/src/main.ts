import { loadConfig } from "./config.ts";
import { startConvexLocal } from "./index.ts";

/** One JSON line per thing that happened, on stderr; stdout has the line that says where to connect. */
function log(event: string, fields: Record<string, unknown>): void {
  const line: Record<string, unknown> = { time: new Date().toISOString(), event };
  for (const [name, value] of Object.entries(fields)) {
    line[name] = value instanceof Error ? (value.stack ?? value.message) : value;
  }
  process.stderr.write(`${JSON.stringify(line)}\n`);
}

const convex = await startConvexLocal({ ...loadConfig(), log });
process.stdout.write(
  `${JSON.stringify({ event: "convex.ready", url: convex.url, siteUrl: convex.siteUrl })}\n`,
);

// A promise that a function forgot must not take the store down with it.
process.on("unhandledRejection", (error) => log("function.unhandled-rejection", { error }));

let isStopping = false;
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.on(signal, () => {
    if (isStopping) return;
    isStopping = true;
    convex.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log("convex.stop-failed", { error });
        process.exit(1);
      },
    );
  });
}
