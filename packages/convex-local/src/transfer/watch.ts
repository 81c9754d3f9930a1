import type { Live } from "../live/live.ts";
import type { ReadSet } from "../live/read-set.ts";
import { sortKey } from "../values/sort-key.ts";

/** States of exports and imports are no documents; a query that reads one watches a key of this index. */
const TRANSFERS_INDEX_ID = Number.MIN_SAFE_INTEGER;

export const TRANSFERS = { exports: "exports", imports: "imports" } as const;
type Kind = (typeof TRANSFERS)[keyof typeof TRANSFERS];

export const readTransfers = (reads: ReadSet, kind: Kind): void =>
  reads.addKey(TRANSFERS_INDEX_ID, sortKey([kind]));

/** Runs the queries again that have looked at this kind. */
export const touchTransfers = (live: Live, kind: Kind): void =>
  live.invalidate([{ indexId: TRANSFERS_INDEX_ID, key: sortKey([kind]) }]);
