import { and, asc, eq, lt, lte, sql } from "drizzle-orm";
import type { Store } from "../store/store.ts";
import { endedJobs, JobRow, jobs } from "../store/tables.ts";

/** The rows behind `_scheduled_functions`. Changes run inside the caller's transaction. */
export class Jobs {
  readonly #statements: ReturnType<typeof prepare>;

  constructor(store: Store) {
    this.#statements = prepare(store);
  }

  add(job: JobRow): void {
    this.#statements.add.run(job);
  }

  find(id: string): JobRow | undefined {
    const row = this.#statements.find.get({ id });
    return row === undefined ? undefined : JobRow.parse(row);
  }

  markInProgress(id: string): void {
    this.#statements.markInProgress.run({ id });
  }

  end(id: string, nowMs: number): void {
    this.#statements.remove.run({ id });
    this.#statements.addEnded.run({ id, endedMs: nowMs });
  }

  /** Pending jobs up to a time, those due first. */
  pending(dueMsMax: number, rowsMax: number): JobRow[] {
    return this.#statements.pending.all({ dueMsMax, rowsMax }).map((row) => JobRow.parse(row));
  }

  inProgress(rowsMax: number): JobRow[] {
    return this.#statements.inProgress.all({ rowsMax }).map((row) => JobRow.parse(row));
  }

  /** Ids of jobs that ended before a time. */
  endedBefore(endedMsMax: number, rowsMax: number): string[] {
    return this.#statements.endedBefore.all({ endedMsMax, rowsMax }).map(({ id }) => id);
  }

  forget(id: string): void {
    this.#statements.forget.run({ id });
  }
}

function prepare({ sql: { orm } }: Store) {
  const value = sql.placeholder;
  return {
    add: orm
      .insert(jobs)
      .values({
        id: value("id"),
        component: value("component"),
        target: value("target"),
        path: value("path"),
        args: value("args"),
        dueMs: value("dueMs"),
        state: value("state"),
      })
      .prepare(),
    find: orm
      .select()
      .from(jobs)
      .where(eq(jobs.id, value("id")))
      .prepare(),
    markInProgress: orm
      .update(jobs)
      .set({ state: "inProgress" })
      .where(eq(jobs.id, value("id")))
      .prepare(),
    remove: orm
      .delete(jobs)
      .where(eq(jobs.id, value("id")))
      .prepare(),
    addEnded: orm
      .insert(endedJobs)
      .values({ id: value("id"), endedMs: value("endedMs") })
      .onConflictDoNothing()
      .prepare(),
    pending: orm
      .select()
      .from(jobs)
      .where(and(eq(jobs.state, "pending"), lte(jobs.dueMs, value("dueMsMax"))))
      .orderBy(asc(jobs.dueMs))
      .limit(value("rowsMax"))
      .prepare(),
    inProgress: orm.select().from(jobs).where(eq(jobs.state, "inProgress")).limit(value("rowsMax")).prepare(),
    endedBefore: orm
      .select()
      .from(endedJobs)
      .where(lt(endedJobs.endedMs, value("endedMsMax")))
      .limit(value("rowsMax"))
      .prepare(),
    forget: orm
      .delete(endedJobs)
      .where(eq(endedJobs.id, value("id")))
      .prepare(),
  };
}
