/** ZIP files as snapshots use them; the format itself is left to yazl and yauzl. */
import { createWriteStream } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type Entry, openPromise, type ZipFile } from "yauzl";
import { ZipFile as ZipWriter } from "yazl";
import { UserError } from "../functions/errors.ts";

export type ArchiveEntry = { name: string; content: () => AsyncIterable<Uint8Array | string> };

const ENTRY_MODE = 0o100644;

/** Writes entries one after another, each read as it is written; nothing is held in memory as a whole. */
export async function writeArchive(path: string, entries: Iterable<ArchiveEntry>, at: Date): Promise<void> {
  const zip = new ZipWriter();
  const stop = new AbortController();
  const failed = new Promise<never>((_, reject) => zip.once("error", reject));
  const written = pipeline(zip.outputStream, createWriteStream(path, { flags: "wx", mode: 0o600 }), {
    signal: stop.signal,
  });
  for (const { name, content } of entries) {
    zip.addReadStreamLazy(name, { mtime: at, mode: ENTRY_MODE }, (give) => {
      const input = Readable.from(content(), { objectMode: false });
      input.once("error", (error) => zip.emit("error", error));
      give(null, input);
    });
  }
  zip.end();
  try {
    await Promise.race([written, failed]);
  } catch (error) {
    stop.abort();
    // It ends with the abort, of which the first error says more.
    await written.catch(() => undefined);
    throw error;
  }
}

/** An archive that has been opened: its entries in their order, and their content. */
export type Archive = {
  names: readonly string[];
  /** The bytes of an entry, piece by piece. Throws UserError when they are damaged. */
  read(name: string): AsyncIterable<Uint8Array>;
  close(): void;
};

const ENTRIES_MAX = 4_000_000;

/** Throws UserError `InvalidZip` for what is no archive. */
export async function openArchive(path: string): Promise<Archive> {
  let zip: ZipFile | undefined;
  try {
    zip = await openPromise(path, { lazyEntries: true, autoClose: false });
    const entries = new Map<string, Entry>();
    for await (const entry of zip.eachEntry()) {
      if (entries.size >= ENTRIES_MAX) throw new Error(`it has more than ${ENTRIES_MAX} entries`);
      if (!entry.fileName.endsWith("/")) entries.set(entry.fileName, entry);
    }
    const opened = zip;
    return {
      names: [...entries.keys()],
      read: (name) => readEntry(opened, entries.get(name), name),
      close: () => opened.close(),
    };
  } catch (error) {
    zip?.close();
    throw invalid(error);
  }
}

async function* readEntry(
  zip: ZipFile,
  entry: Entry | undefined,
  name: string,
): AsyncGenerator<Uint8Array, void, void> {
  if (entry === undefined) throw invalid(new Error(`it has no ${name}`));
  try {
    for await (const chunk of await zip.openReadStreamPromise(entry)) yield chunk as Uint8Array;
  } catch (error) {
    throw invalid(error);
  }
}

const invalid = (error: unknown) =>
  error instanceof UserError
    ? error
    : new UserError("InvalidZip", `The file is not a valid ZIP archive: ${(error as Error).message}`);
