import type { Database } from "bun:sqlite";
import { SearchIndex } from "../search/search-index.ts";
import { VectorIndex } from "../vector/vector-index.ts";
import { CompanionConfig, type CompanionRow } from "./tables.ts";

/** An index that is more than a list of keys, kept in step with the documents of its table: full text, vectors. */
export type Companion = SearchIndex | VectorIndex;

export function openCompanion(raw: Database, { id, name, config: text }: CompanionRow): Companion {
  const config = CompanionConfig.parse(JSON.parse(text));
  return config.kind === "search"
    ? new SearchIndex(raw, id, name, config)
    : new VectorIndex(raw, id, name, config);
}
