import type { EgressPool } from "./plan.ts";

/**
 * A pool's members in the order in which `key` prefers them: weighted rendezvous hashing. The same key prefers the same
 * member for as long as that one is there, members get keys by their weights, and when one drops out only its keys move.
 */
export function preferred(pool: EgressPool, key: string): readonly string[] {
  if (pool.members.length === 1) return pool.members.map(({ id }) => id);
  return pool.members
    .map(({ id, weight }) => ({ id, score: -weight / Math.log(unit(`${id} ${key}`)) }))
    .toSorted((a, b) => b.score - a.score)
    .map(({ id }) => id);
}

/** A number above 0 and below 1 that looks random and is the same for the same text. */
const unit = (text: string) => (Number(BigInt.asUintN(52, Bun.hash.wyhash(text))) + 0.5) / 2 ** 52;
