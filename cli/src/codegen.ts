/** `bun run codegen`: everything in the repository that is derived from a declaration elsewhere in it. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { renderNatsConf } from "@tyto/bus";
import { startConvexLocal } from "@tyto/convex-local";
import { describePublicApi } from "../../services/gateway/src/openapi.ts";
import { convexCli, functionEnvironment } from "./installation/deployment.ts";
import { ensureSecrets } from "./installation/secrets.ts";
import { environment, root } from "./places.ts";
import { marks, say } from "./screen.ts";

/** Writes what differs, so that an unchanged file keeps its time. */
async function render(path: string, text: string): Promise<void> {
  const file = Bun.file(join(root, path));
  const before = (await file.exists()) ? await file.text() : "";
  if (before !== text) await Bun.write(file, text);
  say(`${marks.ok} ${path} ${before === text ? "unchanged" : "written"}`);
}

/** Convex derives _generated on a deployment: a throwaway one in memory, which asks for the variables that functions read. */
async function generateConvex(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "tyto-codegen-"));
  const { secrets } = await ensureSecrets(join(folder, "secrets.env"));
  const convex = await startConvexLocal({ env: functionEnvironment(secrets, "http://localhost:3000") });
  try {
    await convexCli(
      {
        root,
        url: convex.url,
        adminKey: convex.adminKey,
        env: environment(),
        signal: new AbortController().signal,
      },
      ["codegen", "--typecheck", "disable"],
    );
    say(`${marks.ok} convex/_generated`);
  } finally {
    await convex.stop();
    await rm(folder, { recursive: true });
  }
}

await render("ops/nats.conf", renderNatsConf());
await render("services/gateway/openapi.json", describePublicApi());
await generateConvex();
