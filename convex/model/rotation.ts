/**
 * How a domain changes its keys without a message that does not verify: next keys are made and shown, they sign once DNS
 * shows all of them, and the old public keys stay published as long as mail that they signed may be under way.
 */
import type { WithoutSystemFields } from "convex/server";
import type { Doc } from "../_generated/dataModel";
import type { DomainKey } from "./shapes.ts";

type Domain = WithoutSystemFields<Doc<"domains">>;
/** Fields that get another value, or none (`undefined`) where they may be absent. */
export type DomainChange = {
  [Field in keyof Domain]?: Domain[Field] | OptionalIn<Domain, Field>;
};
type OptionalIn<T, Field extends keyof T> =
  Partial<Pick<T, Field>> extends Pick<T, Field> ? undefined : never;
type Look = Pick<Domain, "records" | "state"> & { checkedAt: number };

/** Longer than a message is tried (5 days), and than receivers and mailing lists sit on one that they verify late. */
const keepDays = 7;
const dayMs = 86_400_000;
/** Keys of at most this many sets are watched until they are gone from DNS. */
const retiredMax = 8;

export const publicOf = ({
  selector,
  algorithm,
  publicKey,
}: Pick<DomainKey, "selector" | "algorithm" | "publicKey">) => ({
  selector,
  algorithm,
  publicKey,
});

/** The rotation that begins now; `undefined` where there is nothing to take over from, or one is under way. */
export const rotationFor = (
  { keys, rotation, keysNumber = 1 }: Pick<Domain, "keys" | "rotation" | "keysNumber">,
  startedAt: number,
): Domain["rotation"] =>
  keys.length === 0 || rotation !== undefined ? undefined : { number: keysNumber + 1, startedAt, keys: [] };

/** What a look at DNS changes of a domain: what it found, whether next keys take over, which old keys are done with. */
export function afterLook(row: Domain, { records, state, checkedAt }: Look): DomainChange {
  const isSeen = ({ selector, publicKey }: Pick<DomainKey, "selector" | "publicKey">) =>
    records.some(
      (record) =>
        record.purpose === "dkim" &&
        record.name === `${selector}._domainkey.${row.domain}` &&
        record.value.endsWith(`p=${publicKey}`) &&
        record.state === "found",
    );
  const isGone = ({ selector }: Pick<DomainKey, "selector">) =>
    records.some(
      ({ name, state: found }) => name === `${selector}._domainkey.${row.domain}` && found === "missing",
    );
  const kept = (row.retired ?? []).filter((key) => key.keepUntil > checkedAt || !isGone(key));
  const looked = { records, state, checkedAt };
  const { rotation } = row;
  if (rotation === undefined || rotation.keys.length === 0 || !rotation.keys.every(isSeen))
    return row.retired === undefined ? looked : { ...looked, retired: kept.length === 0 ? undefined : kept };
  const keepUntil = checkedAt + keepDays * dayMs;
  const retired = [...kept, ...row.keys.map((key) => ({ ...publicOf(key), keepUntil }))];
  return {
    ...looked,
    keys: rotation.keys,
    keysNumber: rotation.number,
    keysSince: checkedAt,
    rotation: undefined,
    // What was old before gives way; the sealed private keys are gone with the row's former state.
    retired: retired.slice(-retiredMax),
  };
}
