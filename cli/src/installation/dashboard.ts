/** The dashboard's static files, built when its sources changed. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Environment } from "../places.ts";
import { lastLines, run } from "../run.ts";
import { Trouble } from "../trouble.ts";
import { hashSources, stamp } from "./sources.ts";

const buildMsMax = 600_000;

/** Everything that ends up in the bundle. */
const sources = ["web", "packages/contracts/src", "convex/_generated", "bun.lock"];

export async function buildDashboard(
  root: string,
  env: Environment,
  signal: AbortSignal,
): Promise<"built" | "unchanged"> {
  const web = join(root, "web");
  const output = join(web, ".output/public");
  const hash = await hashSources(root, sources);
  const last = stamp(join(web, ".output/sources.sha256"));
  if (existsSync(join(output, "200.html")) && (await last.matches(hash))) return "unchanged";
  const outcome = await run([process.execPath, "--no-env-file", "--bun", "run", "build"], {
    cwd: web,
    env: { ...env, NUXT_TELEMETRY_DISABLED: "1", NODE_ENV: "production" },
    timeoutMs: buildMsMax,
    signal,
  });
  if (outcome.code !== 0 || !existsSync(join(output, "200.html")))
    throw new Trouble(`the dashboard cannot be built:\n${lastLines(outcome, 40)}`);
  await last.write(hash);
  return "built";
}
