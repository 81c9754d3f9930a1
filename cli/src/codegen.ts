/**
 * `bun run codegen`: everything in the repository that is derived from a declaration elsewhere in it. With `--check` nothing
 * is written, and the exit code is 1 when something would be.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { renderNatsClusterConf, renderNatsConf } from "@tyto/bus";
import { startConvexLocal } from "@tyto/convex-local";
import { describePublicApi } from "../../services/gateway/src/openapi.ts";
import { convexCli, functionEnvironment } from "./installation/deployment.ts";
import { ensureSecrets } from "./installation/secrets.ts";
import { environment, root } from "./places.ts";
import { marks, say } from "./screen.ts";

const isCheck = process.argv.includes("--check");

function tell(path: string, isSame: boolean): void {
  if (isSame) say(`${marks.ok} ${path} is up to date`);
  else if (isCheck) say(`${marks.bad} ${path} is not what \`bun run codegen\` makes`);
  else say(`${marks.ok} ${path} written`);
  if (isCheck && !isSame) process.exitCode = 1;
}

/** Writes what differs, so that an unchanged file keeps its time. */
async function render(path: string, text: string): Promise<void> {
  const file = Bun.file(join(root, path));
  const isSame = (await file.exists()) && (await file.text()) === text;
  if (!isSame && !isCheck) await Bun.write(file, text);
  tell(path, isSame);
}

/** Convex derives _generated on a deployment: a throwaway one in memory, which asks for the variables that functions read. */
async function generateConvex(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "tyto-codegen-"));
  const { secrets } = await ensureSecrets(join(folder, "secrets.env"));
  const convex = await startConvexLocal({ env: functionEnvironment(secrets, "http://localhost:3000") });
  try {
    const said = await convexCli(
      {
        root,
        url: convex.url,
        adminKey: convex.adminKey,
        env: environment(),
        signal: new AbortController().signal,
      },
      ["codegen", "--typecheck", "disable", ...(isCheck ? ["--dry-run"] : [])],
    );
    tell("convex/_generated", !/would (create|replace|write|delete|remove)/i.test(said));
  } finally {
    await convex.stop();
    await rm(folder, { recursive: true });
  }
}

await render("ops/nats.conf", renderNatsConf());
await render("ops/nats-cluster.conf", renderNatsClusterConf());
await render("services/gateway/openapi.json", describePublicApi());
await generateConvex();
