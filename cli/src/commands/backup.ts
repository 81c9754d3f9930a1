import { open, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { Entry } from "@tyto/convex-local/backup";
import tyto from "../../package.json" with { type: "json" };
import { type Command, parseArguments } from "../arguments.ts";
import { readContents, writeContents } from "../backup/contents.ts";
import type { KeySource } from "../backup/key.ts";
import { findKeySource, keyUsage } from "../backup/passphrase.ts";
import { seal, unseal } from "../backup/sealed.ts";
import { installationEntries, runningConvexEntries, stoppedEntries } from "../backup/sources.ts";
import { removeOnSignal } from "../backup/unfinished.ts";
import { claimData, findRunning } from "../installation/running.ts";
import { readSecrets } from "../installation/secrets.ts";
import { loadSettings } from "../installation/settings.ts";
import { environment, places } from "../places.ts";
import { colours, duration, marks, say } from "../screen.ts";
import { Trouble } from "../trouble.ts";

export const command: Command = {
  usage: [
    "tyto backup [FILE] [--key-file FILE] [--data DIR]",
    "",
    "  FILE             where the backup goes (default: tyto-<date>.backup in this folder); it must not exist",
    keyUsage,
    "",
    "Works while Tyto runs: documents, files, settings and secrets, as of one moment. Mail that waits in the queue is",
    "in the backup only when Tyto is stopped meanwhile.",
  ].join("\n"),
  async run(argv) {
    const options = { "key-file": { type: "string" }, data: { type: "string" } } as const;
    const { values, positionals } = parseArguments(argv, options, this.usage, { needs: [], most: 1 });
    const env = { ...environment(), ...(values.data === undefined ? {} : { TYTO_DATA: values.data }) };
    const here = places(env);
    const beganMs = performance.now();
    const path = await freePath(positionals[0], new Date());
    const secrets = await readSecrets(join(here.dataDir, "secrets.env"));
    const source = await findKeySource(values["key-file"], env, true);

    const running = await findRunning(here.dataDir);
    const convexUrl = running?.convexUrl ?? `http://127.0.0.1:${loadSettings(env).ports.CONVEX_PORT}`;
    const claim = running === undefined ? await claimStopped(here.dataDir) : undefined;
    const convex =
      running === undefined
        ? stoppedEntries(here.dataDir)
        : runningConvexEntries(convexUrl, secrets.CONVEX_ADMIN_KEY);
    try {
      const about = {
        createdAt: new Date().toISOString(),
        tyto: tyto.version,
        hasQueue: running === undefined,
      };
      await writeVerified(path, source, writeContents(both(installationEntries(here), convex), about));
    } finally {
      await claim?.release();
    }
    const { size } = await stat(path);
    const took = colours.dim(duration(performance.now() - beganMs));
    say(`${marks.ok} ${path} (${megabytes(size)}), written and read back ${took}`);
    if (running !== undefined)
      say(colours.dim("  without the mail that waits in the queue; stop Tyto first to keep that too"));
    say(colours.dim(`  on an empty machine: ./tyto restore ${basename(path)}`));
    return 0;
  },
};

/** Writes beside the target, reads everything back, and only then gives it its name. */
async function writeVerified(
  path: string,
  source: KeySource,
  contents: AsyncIterable<Uint8Array>,
): Promise<void> {
  const beside = `${path}.${process.pid}.part`;
  const file = await open(beside, "wx", 0o600);
  const done = removeOnSignal(beside);
  try {
    for await (const chunk of seal(source, contents)) await file.write(chunk);
    await file.sync();
    await file.close();
    await verify(beside, source);
    await rename(beside, path);
    const folder = await open(dirname(path), "r");
    await folder.sync();
    await folder.close();
  } catch (error) {
    await file.close().catch(() => undefined); // It may be closed already; the first error is the one to tell.
    await rm(beside, { force: true });
    throw error;
  } finally {
    done();
  }
}

/** Reads a backup to its end. Throws Trouble when it is not whole. */
export const verify = (path: string, source: KeySource) =>
  readContents(
    unseal(source, Bun.file(path).stream() as unknown as AsyncIterable<Uint8Array>),
    async ({ content }) => {
      for await (const _chunk of content);
    },
  );

/** Keeps `tyto up` from starting while files are copied. */
const claimStopped = (dataDir: string) =>
  claimData(dataDir, { pid: process.pid, startedAtMs: Date.now(), gatewayUrl: "", siteUrl: "", natsUrl: "" });

async function* both(first: AsyncIterable<Entry>, second: AsyncIterable<Entry>): AsyncGenerator<Entry> {
  yield* first;
  yield* second;
}

async function freePath(given: string | undefined, now: Date): Promise<string> {
  const name = `tyto-${now.toISOString().slice(0, 19).replaceAll(":", "")}Z.backup`;
  const target = resolve(given ?? name);
  const found = await stat(target).catch(() => undefined); // Absent is what is wanted.
  if (found === undefined) return target;
  if (found.isDirectory()) return join(target, name);
  throw new Trouble(`${target} exists already`, "give another name; a backup never replaces a file");
}

export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
