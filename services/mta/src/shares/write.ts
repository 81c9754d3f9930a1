/** What a process wants to have stored, and what became of it. */
import type { PeerRecord, ShareRecord } from "@tyto/contracts";

/** Stored only when `revision` is still the last one of the key; without a value the key is removed. */
type Change<K extends string, V> = { kind: K; key: string; value: V | undefined; revision: number };

export type BeatWrite = Change<"beat", PeerRecord>;
export type RecordWrite = Change<"record", ShareRecord>;
export type Write = BeatWrite | RecordWrite;

/** `lost`: somebody else wrote first. `unknown`: it may be stored or not. */
export type Written = { kind: "stored"; revision: number } | { kind: "lost" } | { kind: "unknown" };
