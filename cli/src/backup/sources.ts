/** Where the entries of a backup come from: the installation's own files, and Convex, running or not. */
import { readdir, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { backupOfFolder, type Entry, fileEntry, readFrames } from "@tyto/convex-local/backup";
import type { Places } from "../places.ts";
import { Trouble } from "../trouble.ts";
import { isEntryName } from "./contents.ts";

/** Secrets, settings and the certificate of the SMTP port. */
export async function* installationEntries({ dataDir, root }: Places): AsyncGenerator<Entry> {
  yield fileEntry("installation/secrets.env", Bun.file(join(dataDir, "secrets.env")));
  const settings = Bun.file(join(root, ".env"));
  if (await settings.exists()) yield fileEntry("installation/settings.env", settings);
  // Only what lies there itself: folders hold messages that are just coming in.
  const bounceDir = join(dataDir, "bounce");
  for (const name of await filesUnder(bounceDir))
    if (isEntryName(`installation/bounce/${name}`))
      yield fileEntry(`installation/bounce/${name}`, Bun.file(join(bounceDir, name)));
}

/** Documents, files, functions and schedules of a running Convex, as of one moment. */
export async function* runningConvexEntries(url: string, adminKey: string): AsyncGenerator<Entry> {
  const answer = await fetch(`${url}/api/tyto/backup`, {
    headers: { authorization: `Convex ${adminKey}` },
  }).catch((error: unknown) => {
    throw new Trouble(`Convex does not answer at ${url}`, "is ./tyto up still starting? Try again", error);
  });
  if (!answer.ok || answer.body === null)
    throw new Trouble(`Convex answered ${answer.status}: ${(await answer.text()).slice(0, 300)}`);
  for await (const entry of readFrames(answer.body as unknown as AsyncIterable<Uint8Array>))
    yield { ...entry, name: `convex/${entry.name}` };
}

/** The same of one that stands still, and with it the mail in the queue, which then stands still too. */
export async function* stoppedEntries(dataDir: string): AsyncGenerator<Entry> {
  const convexDir = join(dataDir, "convex");
  if (!(await Bun.file(join(convexDir, "convex.sqlite3")).exists()))
    throw new Trouble(
      `there is no database in ${convexDir}`,
      "start Tyto once with ./tyto up, or give --data",
    );
  for await (const entry of backupOfFolder(convexDir)) yield { ...entry, name: `convex/${entry.name}` };
  const natsDir = join(dataDir, "nats");
  for (const name of await filesUnder(natsDir))
    yield fileEntry(`nats/${name}`, Bun.file(join(natsDir, name)));
}

/** Paths of all files in a folder, relative to it; none when there is no folder. */
async function filesUnder(directory: string): Promise<string[]> {
  const isThere = await stat(directory).then(
    (found) => found.isDirectory(),
    () => false, // Absent: nothing to keep.
  );
  if (!isThere) return [];
  const found = await readdir(directory, { recursive: true, withFileTypes: true });
  return found
    .filter((entry) => entry.isFile())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)))
    .sort();
}
