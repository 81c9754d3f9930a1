import type { Deployment } from "../deployment.ts";
import type { Call, QueryOutcome } from "../functions/runner.ts";
import type { Write } from "../store/store.ts";
import { compareKeys } from "../values/sort-key.ts";
import { Intervals } from "./intervals.ts";
import type { Read } from "./read-set.ts";

/** A query that somebody watches. Watchers with the same call share one, so it runs once for all of them. */
export type LiveQuery = {
  readonly key: string;
  readonly call: Call;
  /** The end of the page that the first watcher brought along. */
  readonly givenJournal: string | null;
  journal: string | null;
  /** The newest result; null until it has run. */
  outcome: QueryOutcome | null;
  isStale: boolean;
  readonly watchers: Set<() => void>;
};

/** Keeps watched queries and says which of them a commit has made stale. */
export class Live {
  readonly #deployment: Deployment;
  readonly #all = new Set<LiveQuery>();
  readonly #shared = new Map<string, LiveQuery>();
  readonly #reads = new Map<number, Intervals<LiveQuery>>();

  constructor(deployment: Deployment) {
    this.#deployment = deployment;
  }

  /** `onStale` is called after each commit that touched what the query read; it must not throw. */
  watch(call: Call, journal: string | null, onStale: () => void): LiveQuery {
    const key = JSON.stringify([call.component, call.target, call.args, call.identity, call.access, journal]);
    let query = this.#shared.get(key);
    if (query === undefined) {
      query = {
        key,
        call,
        givenJournal: journal,
        journal,
        outcome: null,
        isStale: true,
        watchers: new Set(),
      };
      this.#all.add(query);
      this.#shared.set(key, query);
    }
    query.watchers.add(onStale);
    return query;
  }

  unwatch(query: LiveQuery, onStale: () => void): void {
    query.watchers.delete(onStale);
    if (query.watchers.size > 0) return;
    this.#unshare(query);
    this.#all.delete(query);
    this.#forget(query);
  }

  /** Runs the query if it is stale, inside an executor slot that the caller holds. */
  async refresh(query: LiveQuery): Promise<QueryOutcome> {
    if (query.outcome !== null && !query.isStale) return query.outcome;
    // From now on this page has the end of its first run; whoever asks anew gets a page of the usual length.
    if (query.outcome !== null && query.journal !== query.givenJournal) this.#unshare(query);
    query.isStale = false;
    const outcome = await this.#deployment.runner.queryNow(query.call, query.journal);
    if (outcome.journal !== null) query.journal = outcome.journal;
    // Mostly it has looked at the same ranges as the last time.
    if (!isSameReads(query.outcome?.reads ?? [], outcome.reads)) {
      this.#forget(query);
      if (query.watchers.size > 0)
        for (const read of outcome.reads) this.#intervals(read.indexId).add(read, query);
    }
    query.outcome = outcome;
    return outcome;
  }

  invalidate(writes: readonly Write[]): void {
    const stale = new Set<LiveQuery>();
    for (const { indexId, key } of writes) this.#reads.get(indexId)?.collect(key, stale);
    this.#markStale(stale);
  }

  /** Everything runs again: after a push, and when environment variables changed. */
  invalidateAll(): void {
    this.#markStale(this.#all);
  }

  #markStale(queries: Iterable<LiveQuery>): void {
    for (const query of queries) {
      query.isStale = true;
      for (const onStale of query.watchers) onStale();
    }
  }

  /** Nobody new will share this query. */
  #unshare(query: LiveQuery): void {
    if (this.#shared.get(query.key) === query) this.#shared.delete(query.key);
  }

  #forget(query: LiveQuery): void {
    for (const indexId of new Set(query.outcome?.reads.map((read) => read.indexId))) {
      const intervals = this.#reads.get(indexId);
      intervals?.remove(query);
      if (intervals?.size === 0) this.#reads.delete(indexId);
    }
  }

  #intervals(indexId: number): Intervals<LiveQuery> {
    let intervals = this.#reads.get(indexId);
    if (intervals === undefined) {
      intervals = new Intervals();
      this.#reads.set(indexId, intervals);
    }
    return intervals;
  }
}

const isSameReads = (left: readonly Read[], right: readonly Read[]): boolean =>
  left.length === right.length &&
  left.every(({ indexId, start, end }, index) => {
    const other = right[index];
    return (
      other !== undefined &&
      indexId === other.indexId &&
      compareKeys(start, other.start) === 0 &&
      (end === undefined || other.end === undefined ? end === other.end : compareKeys(end, other.end) === 0)
    );
  });
