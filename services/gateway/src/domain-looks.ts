/** Looks at what DNS says about a domain, and keeps what was seen. */
import type { Resolver } from "@tyto/dns";
import { checkRecords, type KeySets, recordsOf, stateOfDomain } from "./dns-records.ts";
import type { Senders } from "./senders.ts";
import type { Store, StoredDomain } from "./store.ts";

export type LookPorts = {
  store: Pick<Store, "recordDnsCheck">;
  resolver: Pick<Resolver, "txt" | "mx">;
  mailHostname: string;
  senders: Senders;
  now(): number;
};

const checkAgeMsMax = 60_000;

export function createLooks({ store, resolver, mailHostname, senders, now }: LookPorts) {
  async function lookOnce(row: StoredDomain): Promise<StoredDomain> {
    const checkedAt = now();
    const wanted = recordsOf(row.domain, keySetsOf(row), {
      returnPathHost: row.returnPathHost,
      mailHostname,
      senders: await senders.mechanisms(),
    });
    const records = await checkRecords(resolver, wanted);
    return store.recordDnsCheck(row.domain, { records, state: stateOfDomain(records, row.state), checkedAt });
  }

  async function look(row: StoredDomain): Promise<StoredDomain> {
    const seen = await lookOnce(row);
    // Keys that took over, or were done with, change which records there are.
    return nameKeys(seen) === nameKeys(row) ? seen : lookOnce(seen);
  }

  const isStale = (row: StoredDomain) =>
    row.checked_at === undefined ||
    Date.parse(row.checked_at) < now() - checkAgeMsMax ||
    nameKeys(row) !== nameShown(row);

  return { look, isStale };
}

const keySetsOf = ({ keys, next, old }: StoredDomain): KeySets => ({ keys, next: next?.keys ?? [], old });

/** Which records of keys there are to be, and which were looked at last. */
const nameKeys = (row: StoredDomain) => {
  const { keys, next, old } = keySetsOf(row);
  return [...keys, "", ...next, "", ...old]
    .map((key) => (typeof key === "string" ? key : `${key.selector}._domainkey.${row.domain}`))
    .join(" ");
};
const nameShown = ({ records }: StoredDomain) => {
  const named = (stage: "next" | "old" | undefined) =>
    records.filter((record) => record.purpose === "dkim" && record.stage === stage).map(({ name }) => name);
  return [...named(undefined), "", ...named("next"), "", ...named("old")].join(" ");
};
