import { and, eq, lt, sql } from "drizzle-orm";
import type { Store } from "../store/store.ts";
import { requests } from "../store/tables.ts";

/** A client that was away for longer than this does not send its open mutations again. */
const RETENTION_MS = 24 * 3600_000;

/** Outcomes of committed mutations by session and request, so that a mutation sent twice is applied once. */
export class Requests {
  readonly #statements: ReturnType<typeof prepare>;

  constructor(store: Store) {
    this.#statements = prepare(store);
  }

  find(sessionId: string, requestId: number): { value: string; ts: number } | undefined {
    return this.#statements.find.get({ sessionId, requestId });
  }

  /** Call inside the transaction of the mutation; `ts` is at most its commit timestamp. */
  record(sessionId: string, requestId: number, value: string, ts: number, nowMs: number): void {
    this.#statements.record.run({ sessionId, requestId, value, ts, endedMs: nowMs });
  }

  sweep(nowMs: number): void {
    this.#statements.sweep.run({ endedMsMax: nowMs - RETENTION_MS });
  }
}

function prepare({ sql: { orm } }: Store) {
  const value = sql.placeholder;
  return {
    find: orm
      .select({ value: requests.value, ts: requests.ts })
      .from(requests)
      .where(and(eq(requests.sessionId, value("sessionId")), eq(requests.requestId, value("requestId"))))
      .prepare(),
    record: orm
      .insert(requests)
      .values({
        sessionId: value("sessionId"),
        requestId: value("requestId"),
        value: value("value"),
        ts: value("ts"),
        endedMs: value("endedMs"),
      })
      .prepare(),
    sweep: orm
      .delete(requests)
      .where(lt(requests.endedMs, value("endedMsMax")))
      .prepare(),
  };
}
