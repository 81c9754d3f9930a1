import type { Domain, DomainRecord } from "@tyto/contracts";
import { BoundedMap } from "@tyto/service";
import type { SigningKey } from "./dkim.ts";
import { openKeys, type Vault } from "./keys.ts";

/** What a sending domain needs to send: where its reports go, and its keys, which came back from the store. */
export type Signer = { returnPathHost: Domain; keys: readonly SigningKey[] };

/** A change of keys is in use after this time at the latest. */
const freshMs = 10_000;
const signersMax = 2_000;

/**
 * The signer of a domain from its record in DOMAINS, opened once and looked at again after `freshMs`. `undefined` while
 * there is no record or no key yet; that is never remembered, so that a new domain can send as soon as its keys are
 * there.
 */
export function createSigners(
  read: (domain: Domain) => Promise<DomainRecord | undefined>,
  vault: Vault,
  now: () => number,
): (domain: Domain) => Promise<Signer | undefined> {
  const known = new BoundedMap<Domain, { signer: Signer; sealed: string; readAtMs: number }>(signersMax);
  return async (domain) => {
    const old = known.get(domain);
    if (old !== undefined && now() - old.readAtMs < freshMs) return old.signer;
    const record = await read(domain);
    known.delete(domain);
    if (record === undefined || record.keys.length === 0) return undefined;
    const sealed = record.keys.map((key) => key.sealedPrivateKey).join(" ");
    const signer: Signer = {
      returnPathHost: record.returnPathHost,
      keys: old?.sealed === sealed ? old.signer.keys : openKeys(record, vault),
    };
    known.set(domain, { signer, sealed, readAtMs: now() });
    return signer;
  };
}
