import { and, eq, lt } from "drizzle-orm";
import type { Store } from "../store/store.ts";
import { requests } from "../store/tables.ts";

/** A client that was away for longer than this does not send its open mutations again. */
const RETENTION_MS = 24 * 3600_000;

/** Outcomes of committed mutations by session and request, so that a mutation sent twice is applied once. */
export class Requests {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  find(sessionId: string, requestId: number): { value: string; ts: number } | undefined {
    return this.#store.sql.orm
      .select({ value: requests.value, ts: requests.ts })
      .from(requests)
      .where(and(eq(requests.sessionId, sessionId), eq(requests.requestId, requestId)))
      .get();
  }

  /** Call inside the transaction of the mutation; `ts` is at most its commit timestamp. */
  record(sessionId: string, requestId: number, value: string, ts: number, nowMs: number): void {
    this.#store.sql.orm.insert(requests).values({ sessionId, requestId, value, ts, endedMs: nowMs }).run();
  }

  sweep(nowMs: number): void {
    this.#store.sql.orm
      .delete(requests)
      .where(lt(requests.endedMs, nowMs - RETENTION_MS))
      .run();
  }
}
