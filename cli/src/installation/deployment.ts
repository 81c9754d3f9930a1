/** The functions in convex/, brought to a Convex deployment by the official CLI. */
import { join } from "node:path";
import type { Environment } from "../places.ts";
import { lastLines, run } from "../run.ts";
import { Trouble } from "../trouble.ts";
import { publicJwks, type Secrets } from "./secrets.ts";
import { hashSources, stamp } from "./sources.ts";

export type Target = {
  root: string;
  url: string;
  adminKey: string;
  env: Environment;
  /** Where the note of the last deployment lies, with the database, so that both go together. Without it, always deploys. */
  stampPath?: string;
  signal: AbortSignal;
};

/** What the functions read by process.env. */
export const functionEnvironment = (
  secrets: Pick<Secrets, "MTA_WEBHOOK_SECRET" | "GATEWAY_JWT_KEY" | "RECORDER_JWT_KEY">,
  siteUrl: string,
): Record<string, string> => ({
  MTA_WEBHOOK_SECRET: secrets.MTA_WEBHOOK_SECRET,
  GATEWAY_JWKS: publicJwks(secrets.GATEWAY_JWT_KEY),
  RECORDER_JWKS: publicJwks(secrets.RECORDER_JWT_KEY),
  SITE_URL: siteUrl,
});

/** Sets the environment and deploys, unless both are as they were at the last deployment. */
export async function deployFunctions(
  target: Target,
  variables: Record<string, string>,
): Promise<"deployed" | "unchanged"> {
  const hash = await hashSources(
    target.root,
    ["convex", "packages/contracts/src", "bun.lock"],
    JSON.stringify(variables),
  );
  const last = target.stampPath === undefined ? undefined : stamp(target.stampPath);
  if (await last?.matches(hash)) return "unchanged";

  const file = Object.entries(variables)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}\n`)
    .join("");
  // By standard input: the command line of a process is readable by every user of the machine.
  await convexCli(target, ["env", "set", "--force"], file);
  await convexCli(target, ["deploy", "--typecheck", "disable", "--codegen", "disable"]);
  await last?.write(hash);
  return "deployed";
}

const deployMsMax = 180_000;

/** Runs the official CLI against the target; resolves with what it said. Throws Trouble when it fails. */
export async function convexCli(target: Target, argv: readonly string[], input?: string): Promise<string> {
  const outcome = await run(
    [process.execPath, "--no-env-file", join(target.root, "node_modules/convex/bin/main.js"), ...argv],
    {
      cwd: target.root,
      env: {
        ...target.env,
        CI: "1",
        CONVEX_SELF_HOSTED_URL: target.url,
        CONVEX_SELF_HOSTED_ADMIN_KEY: target.adminKey,
      },
      timeoutMs: deployMsMax,
      signal: target.signal,
      ...(input === undefined ? {} : { input }),
    },
  );
  if (outcome.code !== 0) throw new Trouble(`convex ${argv.join(" ")} failed:\n${lastLines(outcome, 30)}`);
  return outcome.stdout + outcome.stderr;
}
