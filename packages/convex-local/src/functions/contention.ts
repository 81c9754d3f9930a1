import type { Read } from "../live/read-set.ts";
import type { Write } from "../store/store.ts";
import { compareKeys } from "../values/sort-key.ts";

/** A mutation that has read what another one wrote while both were under way. */
export type Conflict = { mutation: string; other: string; documents: string[] };

type Commit = { ts: number; path: string; writes: readonly Write[] };

const COMMITS_KEPT_MAX = 64;
const WRITES_KEPT_MAX = 2000;
const DOCUMENTS_NAMED_MAX = 5;
/** Looking costs time that mutations would have to wait for: a sample shows what is hot. */
const LOOKS_PER_SECOND_MAX = 200;
/** The same pair of functions is not reported again for this long. */
const REPEAT_MS = 60_000;
const PAIRS_MAX = 1000;

/**
 * Mutations here run one after another and never conflict. In the official backend those that arrive together
 * run together, and the later one is run again when it had read what the earlier one wrote; after a few times
 * it fails. This tells which would.
 */
export class Contention {
  readonly #report: (conflict: Conflict) => void;
  readonly #now: () => number;
  #commits: Commit[] = [];
  #writesKept = 0;
  #looks = { sinceMs: 0, count: 0 };
  readonly #reportedMs = new Map<string, number>();

  constructor(now: () => number, report: (conflict: Conflict) => void) {
    this.#now = now;
    this.#report = report;
  }

  /** Compares a mutation that is about to commit with those committed since it arrived. */
  look(path: string, arrivedTs: number, reads: readonly Read[]): void {
    const newest = this.#commits.at(-1);
    if (newest === undefined || newest.ts <= arrivedTs || !this.#mayLook()) return;
    for (const commit of this.#commits) {
      if (commit.ts <= arrivedTs) continue;
      const touched = commit.writes.filter((write) => reads.some((read) => covers(read, write)));
      if (touched.length === 0) continue;
      this.#tell({ mutation: path, other: commit.path, documents: documentsOf(touched) });
      return;
    }
  }

  committed(ts: number, path: string, writes: readonly Write[]): void {
    if (writes.length === 0 || writes.length > WRITES_KEPT_MAX) return;
    this.#commits.push({ ts, path, writes });
    this.#writesKept += writes.length;
    while (this.#commits.length > COMMITS_KEPT_MAX || this.#writesKept > WRITES_KEPT_MAX) {
      this.#writesKept -= this.#commits.shift()?.writes.length ?? 0;
    }
  }

  #mayLook(): boolean {
    const nowMs = this.#now();
    if (Math.abs(nowMs - this.#looks.sinceMs) >= 1000) this.#looks = { sinceMs: nowMs, count: 0 };
    return ++this.#looks.count <= LOOKS_PER_SECOND_MAX;
  }

  #tell(conflict: Conflict): void {
    const pair = `${conflict.mutation}\0${conflict.other}`;
    const nowMs = this.#now();
    const before = this.#reportedMs.get(pair);
    if (before !== undefined && Math.abs(nowMs - before) < REPEAT_MS) return;
    if (this.#reportedMs.size >= PAIRS_MAX) this.#reportedMs.clear();
    this.#reportedMs.set(pair, nowMs);
    this.#report(conflict);
  }
}

const covers = (read: Read, { indexId, key }: Write) =>
  read.indexId === indexId &&
  compareKeys(read.start, key) <= 0 &&
  (read.end === undefined || compareKeys(key, read.end) < 0);

/** The tag before a text in a sort key; 0 ends the text. Every key ends with the id of its document. */
const STRING_TAG = 16;
const ID = /^[0-9a-z]{31,37}$/;

function documentsOf(writes: readonly Write[]): string[] {
  const ids = writes.map(({ key }) => Buffer.from(key.slice(key.lastIndexOf(STRING_TAG) + 1, -1)).toString());
  return [...new Set(ids)].filter((id) => ID.test(id)).slice(0, DOCUMENTS_NAMED_MAX);
}
