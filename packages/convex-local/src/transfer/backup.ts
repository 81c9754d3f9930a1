import type { Database } from "bun:sqlite";
import { type Entry, frameEntries } from "./frames.ts";
import type { Snapshot } from "./snapshot.ts";

/** Everything that a deployment keeps, as one stream of entries: the database, then the files that it knows. */
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

function* entriesOf({ path, database, blob }: Snapshot): Generator<Entry> {
  yield { name: "convex.sqlite3", content: Bun.file(path) };
  for (const uuid of uuidsOf(database)) yield { name: `storage/${uuid}`, content: blob(uuid) };
}

function* uuidsOf(database: Database): Generator<string> {
  const rows = database.prepare<{ uuid: string }, []>("SELECT uuid FROM files ORDER BY uuid");
  try {
    for (const { uuid } of rows.iterate()) yield uuid;
  } finally {
    rows.finalize();
  }
}
