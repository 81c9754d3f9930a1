import { Database } from "bun:sqlite";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { databasePath } from "../store/database.ts";
import { copyInChild } from "../store/snapshot.ts";
import { type Entry, fileEntry, frameEntries } from "./frames.ts";
import type { Snapshot } from "./snapshot.ts";

/** Everything that a deployment keeps, as one stream of entries: the database, then the files that lie beside it. */
export function backupOf(snapshot: Snapshot): Response {
  const frames = frameEntries(entriesOf(snapshot));
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { value, done } = await frames.next();
        if (done === true) {
          snapshot.release();
          controller.close();
        } else controller.enqueue(value);
      } catch (error) {
        snapshot.release();
        controller.error(error);
      }
    },
    cancel: () => snapshot.release(),
  });
  return new Response(stream, { headers: { "content-type": "application/octet-stream" } });
}

/** The same of a deployment that does not run. Throws when it does. */
export async function* backupOfFolder(dataDir: string): AsyncGenerator<Entry> {
  const scratch = mkdtempSync(join(dataDir, "backup-"));
  const path = join(scratch, "copy.sqlite3");
  try {
    await copyInChild(databasePath(dataDir), path);
    const database = new Database(path, { readonly: true });
    try {
      const blob = (uuid: string) => Bun.file(join(dataDir, "storage", uuid));
      yield* entriesOf({ path, database, blob });
    } finally {
      database.close();
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function* entriesOf({
  path,
  database,
  blob,
}: Pick<Snapshot, "path" | "database" | "blob">): Generator<Entry> {
  yield fileEntry("convex.sqlite3", Bun.file(path));
  for (const uuid of uuidsOf(database)) yield fileEntry(`storage/${uuid}`, blob(uuid));
}

/** A database that was not opened since layout 3 has none. */
const hasContents = (database: Database) =>
  database.query("SELECT 1 FROM sqlite_schema WHERE name = 'file_contents'").get() !== null;

function* uuidsOf(database: Database): Generator<string> {
  const rows = database.prepare<{ uuid: string }, []>(
    `SELECT uuid FROM files ${hasContents(database) ? "WHERE uuid NOT IN (SELECT uuid FROM file_contents) " : ""}ORDER BY uuid`,
  );
  try {
    for (const { uuid } of rows.iterate()) yield uuid;
  } finally {
    rows.finalize();
  }
}
