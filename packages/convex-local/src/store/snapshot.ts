import type { Database } from "bun:sqlite";
import { mkdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { databasePath, type Sql } from "./database.ts";

const COPY_MS_MAX = 30 * 60_000;

/**
 * Writes what is committed now to a file of its own, while functions go on. Another process copies, so that this one
 * is not held up; for that time it shares the database, which it otherwise keeps to itself. `between` runs work when
 * no transaction is open. One copy at a time.
 */
export async function copyDatabase(
  { raw }: Sql,
  dataDir: string | null,
  target: string,
  between: (work: () => Promise<void>) => Promise<void>,
): Promise<void> {
  mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
  rmSync(target, { force: true });
  if (dataDir === null) {
    await between(async () => {
      raw.query("VACUUM INTO ?").run(target);
    });
    return;
  }
  await between(async () => setLocking(raw, "NORMAL"));
  try {
    await copyInChild(databasePath(dataDir), target);
  } catch (error) {
    rmSync(target, { force: true });
    throw error;
  } finally {
    await between(async () => setLocking(raw, "EXCLUSIVE"));
  }
}

/** Copies a database that another process may have open, or that nobody has. */
export async function copyInChild(source: string, target: string): Promise<void> {
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/copy.ts`, source, target], {
    env: {},
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
    timeout: COPY_MS_MAX,
  });
  const [problem, code] = await Promise.all([new Response(child.stderr).text(), child.exited]);
  if (code !== 0) throw new Error(`Copying the database failed: ${problem.trim().slice(-1000)}`);
}

/** SQLite takes or gives up the lock with the next access. */
function setLocking(raw: Database, mode: "NORMAL" | "EXCLUSIVE"): void {
  raw.run(`PRAGMA locking_mode = ${mode}`);
  raw.query("SELECT count(*) FROM sqlite_schema").get();
}
