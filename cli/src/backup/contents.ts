/** What a backup holds: entries in one stream, and at its end the list of them with their SHA-256. */
import { BrokenFrames, type Entry, frameEntries, readFrames } from "@tyto/convex-local/backup";
import { z } from "zod";
import { Trouble } from "../trouble.ts";

const MANIFEST = "manifest.json";
const MANIFEST_BYTES_MAX = 512 * 1024 * 1024;

/** Nothing else is ever written to disk, whatever a file says. */
const nameRule =
  /^(?:installation\/(?:secrets\.env|settings\.env|bounce\/[\w-][\w.-]*)|convex\/(?:convex\.sqlite3|storage\/[0-9a-f-]{36})|nats(?:\/[\w$-][\w$.-]*)+)$/;
export const isEntryName = (name: string): boolean => nameRule.test(name) && !name.split("/").includes("..");

export const Manifest = z.object({
  format: z.literal(1),
  createdAt: z.iso.datetime(),
  tyto: z.string(),
  /** With the queue a backup was made while Tyto stood still. */
  hasQueue: z.boolean(),
  entries: z.array(z.object({ name: z.string(), bytes: z.number(), sha256: z.string() })),
});
export type Manifest = z.infer<typeof Manifest>;
export type About = Omit<Manifest, "format" | "entries">;

/** The stream of a backup: the entries, then the manifest. */
export async function* writeContents(
  entries: AsyncIterable<Entry>,
  about: About,
): AsyncGenerator<Uint8Array> {
  const listed: Manifest["entries"] = [];
  yield* frameEntries(
    (async function* () {
      for await (const entry of entries) {
        if (!isEntryName(entry.name)) throw new Error(`${entry.name} has no place in a backup`);
        const hasher = new Bun.CryptoHasher("sha256");
        yield { ...entry, content: seen(entry.content, hasher) };
        listed.push({ name: entry.name, bytes: entry.bytes, sha256: hasher.digest("hex") });
      }
      const manifest: Manifest = { format: 1, ...about, entries: listed };
      const text = Buffer.from(JSON.stringify(manifest));
      yield { name: MANIFEST, bytes: text.byteLength, content: once(text) };
    })(),
  );
}

/** Reads a backup to its end, gives each entry to `take`, and proves all of it by the manifest. Throws Trouble. */
export async function readContents(
  chunks: AsyncIterable<Uint8Array>,
  take: (entry: Entry) => Promise<void>,
): Promise<Manifest> {
  const found: Manifest["entries"] = [];
  let manifest: Manifest | undefined;
  try {
    for await (const entry of readFrames(chunks)) {
      if (manifest !== undefined) throw damaged("something follows its list of contents");
      if (entry.name === MANIFEST) {
        if (entry.bytes > MANIFEST_BYTES_MAX) throw damaged("its list of contents is too long");
        const text = Buffer.concat(await Array.fromAsync(entry.content)).toString();
        manifest = Manifest.parse(JSON.parse(text));
        continue;
      }
      if (!isEntryName(entry.name)) throw damaged(`${entry.name} has no place in it`);
      const hasher = new Bun.CryptoHasher("sha256");
      let bytes = 0;
      const content = seen(entry.content, hasher, (count) => {
        bytes += count;
      });
      await take({ ...entry, content });
      if (bytes !== entry.bytes) throw new Error(`${entry.name} was not read to its end`);
      found.push({ name: entry.name, bytes, sha256: hasher.digest("hex") });
    }
  } catch (error) {
    if (error instanceof BrokenFrames || error instanceof z.ZodError || error instanceof SyntaxError)
      throw damaged(error.message);
    throw error;
  }
  if (manifest === undefined) throw damaged("it has no list of contents");
  if (!Bun.deepEquals(found, manifest.entries)) throw damaged("its contents are not those of its list");
  return manifest;
}

const damaged = (why: string) => new Trouble(`the backup is damaged: ${why}`, "take another copy of it");

async function* seen(
  content: AsyncIterable<Uint8Array>,
  hasher: Bun.CryptoHasher,
  count: (bytes: number) => void = () => {},
): AsyncGenerator<Uint8Array> {
  for await (const chunk of content) {
    hasher.update(chunk);
    count(chunk.byteLength);
    yield chunk;
  }
}

export async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
