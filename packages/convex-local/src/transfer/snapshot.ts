import { Database } from "bun:sqlite";
import { mkdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Deployment } from "../deployment.ts";
import { Slots } from "../functions/executor.ts";
import { copyDatabase } from "../store/snapshot.ts";

const WAITING_MAX = 4;

/** Everything of one moment: a copy of the database, and the bytes of the files that it knows. */
export type Snapshot = {
  /** The copy; nobody writes to it. */
  path: string;
  database: Database;
  at: Date;
  blob(uuid: string): Blob;
  /** Deletes the copy, and lets files go that have been deleted meanwhile. */
  release(): void;
};

/** The bytes of a small file: they are in the copy itself. */
function contentIn(database: Database, uuid: string): Blob | undefined {
  const row = database
    .query<{ content: Uint8Array<ArrayBuffer> }, [string]>("SELECT content FROM file_contents WHERE uuid = ?")
    .get(uuid);
  return row === null ? undefined : new Blob([row.content]);
}

/** Takes snapshots, one at a time, and gives exports and imports a place for their files. */
export class Snapshots {
  readonly directory: string;
  readonly #deployment: Deployment;
  readonly #dataDir: string | null;
  readonly #slot = new Slots(1, WAITING_MAX);

  constructor(deployment: Deployment, dataDir: string | null) {
    this.#deployment = deployment;
    this.#dataDir = dataDir;
    this.directory =
      dataDir === null
        ? join(tmpdir(), `convex-local-${process.pid}-${crypto.randomUUID()}`)
        : join(dataDir, "transfer");
    // What is there was left by a process that is no more.
    this.clear();
  }

  clear(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** A path for a file that is gone after the next start. */
  place(name: string): string {
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    return join(this.directory, name);
  }

  take(): Promise<Snapshot> {
    return this.#slot.run(async () => {
      const { store, executor, files, now } = this.#deployment;
      const pinned = files.pin();
      const path = this.place(`${crypto.randomUUID()}.sqlite3`);
      try {
        const at = new Date(now());
        await copyDatabase(store.sql, this.#dataDir, path, (work) => executor.run(work));
        const database = new Database(path, { readonly: true });
        return {
          path,
          database,
          at,
          blob: (uuid) => contentIn(database, uuid) ?? files.bytesOnDisk(uuid),
          release() {
            pinned.release();
            database.close();
            rmSync(path, { force: true });
          },
        };
      } catch (error) {
        pinned.release();
        throw error;
      }
    });
  }
}
