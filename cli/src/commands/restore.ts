import { Database } from "bun:sqlite";
import { mkdir, open, readdir, rename, rm, rmdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type Entry, LAYOUT } from "@tyto/convex-local/backup";
import { type Command, parseArguments } from "../arguments.ts";
import { type Manifest, readContents } from "../backup/contents.ts";
import type { KeySource } from "../backup/key.ts";
import { findKeySource, keyUsage } from "../backup/passphrase.ts";
import { unseal } from "../backup/sealed.ts";
import { removeOnSignal } from "../backup/unfinished.ts";
import { environment, places } from "../places.ts";
import { colours, marks, say } from "../screen.ts";
import { Trouble } from "../trouble.ts";
import { megabytes, verify } from "./backup.ts";

export const command: Command = {
  usage: [
    "tyto restore FILE [--check] [--without-queue] [--key-file FILE] [--data DIR]",
    "",
    "  --check          only reads the backup and says whether it is whole",
    "  --without-queue  leaves out the mail that waited in the queue, when the backup has it",
    keyUsage,
    "",
    "The data folder (default: data/, or TYTO_DATA) must be empty or absent. Then: ./tyto up",
  ].join("\n"),
  async run(argv) {
    const options = {
      check: { type: "boolean" },
      "without-queue": { type: "boolean" },
      "key-file": { type: "string" },
      data: { type: "string" },
    } as const;
    const { values, positionals } = parseArguments(argv, options, this.usage, {
      needs: ["the FILE of the backup"],
      most: 1,
    });
    const [path = ""] = positionals;
    const env = { ...environment(), ...(values.data === undefined ? {} : { TYTO_DATA: values.data }) };
    const here = places(env);
    if (!(await Bun.file(path).exists())) throw new Trouble(`there is no file ${path}`);
    if (values.check !== true) await assertEmpty(here.dataDir);
    const source = await findKeySource(values["key-file"], env, false);
    if (values.check === true) {
      say(`${marks.ok} the backup is whole: ${describe(await verify(path, source))}`);
      return 0;
    }
    const manifest = await restore(path, source, here.dataDir, values["without-queue"] === true);
    say(`${marks.ok} restored to ${here.dataDir}: ${describe(manifest)}`);
    for (const line of await restoreSettings(here.dataDir, join(here.root, ".env"))) say(line);
    say(colours.dim(`  now: ./tyto up${values.data === undefined ? "" : ` --data ${values.data}`}`));
    return 0;
  },
};

const describe = ({ createdAt, entries, hasQueue }: Manifest) => {
  const bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0);
  return `made at ${createdAt}, ${megabytes(bytes)}, ${entries.length} files, ${hasQueue ? "with" : "without"} the queue`;
};

async function assertEmpty(dataDir: string): Promise<void> {
  const found = await readdir(dataDir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw new Trouble(`${dataDir} cannot be read`, String(error));
  });
  if (found.length === 0) return;
  throw new Trouble(
    `${dataDir} is not empty: it has ${found.slice(0, 5).join(", ")}`,
    "a restore never replaces data: move the folder away, or give --data DIR",
  );
}

/** Unpacks beside the data folder, proves everything, and puts it in place with one rename. */
async function restore(
  path: string,
  source: KeySource,
  dataDir: string,
  withoutQueue: boolean,
): Promise<Manifest> {
  const beside = join(dirname(dataDir), `${basename(dataDir)}.restoring-${process.pid}`);
  await mkdir(beside, { recursive: true, mode: 0o700 });
  const done = removeOnSignal(beside);
  try {
    const chunks = Bun.file(path).stream() as unknown as AsyncIterable<Uint8Array>;
    const manifest = await readContents(unseal(source, chunks), async (entry) => {
      const isLeftOut = withoutQueue && entry.name.startsWith("nats/");
      await (isLeftOut ? pass(entry) : write(join(beside, placeOf(entry.name)), entry));
    });
    checkDatabase(join(beside, "convex/convex.sqlite3"));
    await mkdir(join(beside, "convex/storage"), { recursive: true, mode: 0o700 });
    await assertEmpty(dataDir);
    await rmdir(dataDir).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
    });
    await rename(beside, dataDir);
    return manifest;
  } catch (error) {
    await rm(beside, { recursive: true, force: true });
    throw error;
  } finally {
    done();
  }
}

/** The installation's own files lie at the top of the data folder, the others in the folders of their parts. */
const placeOf = (name: string) => name.replace(/^installation\//, "");

async function write(path: string, { content }: Entry): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const file = await open(path, "wx", 0o600);
  try {
    for await (const chunk of content) await file.write(chunk);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function pass({ content }: Entry): Promise<void> {
  for await (const _chunk of content);
}

function checkDatabase(path: string): void {
  const database = new Database(path, { readonly: true });
  try {
    const { quick_check: verdict } = database.query("PRAGMA quick_check(1)").get() as { quick_check: string };
    if (verdict !== "ok") throw new Trouble(`the database of the backup is damaged: ${verdict}`);
    const { user_version: layout } = database.query("PRAGMA user_version").get() as { user_version: number };
    if (layout > LAYOUT)
      throw new Trouble(
        `the backup is from a newer Tyto (layout ${layout}, this one reads ${LAYOUT})`,
        "restore it with the version that made it",
      );
  } finally {
    database.close();
  }
}

/** Settings belong beside `./tyto`; ones that are there already are left alone. */
async function restoreSettings(dataDir: string, target: string): Promise<string[]> {
  const from = join(dataDir, "settings.env");
  const restored = Bun.file(from);
  if (!(await restored.exists())) return [];
  const text = await restored.text();
  const there = Bun.file(target);
  if (!(await there.exists())) {
    await write(target, { name: "settings.env", bytes: text.length, content: restored.stream() as never });
    await rm(from);
    return [`${marks.ok} settings restored to ${target}`];
  }
  if ((await there.text()) === text) {
    await rm(from);
    return [];
  }
  return [`${marks.partly} ${target} exists and differs; the settings of the backup are in ${from}`];
}
