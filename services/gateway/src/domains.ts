/**
 * Sending domains: added by a person, given keys by the mta (through Convex), looked up in DNS by us. A look happens when
 * somebody asks and the last one is older than `checkAgeMsMax`, when the keys of a domain arrive, and from time to time by
 * itself (domain-watch.ts). The look that finds all next keys of a domain makes them sign; convex/model/rotation.ts decides.
 */
import { type Domain, type DomainRecord, Failure } from "@tyto/contracts";
import type { Resolver } from "@tyto/dns";
import { checkRecords, type KeySets, recordsOf, returnPathHostOf, stateOfDomain } from "./dns-records.ts";
import type { Mirror } from "./mirror.ts";
import { newDomainRecord, type Store, type StoredDomain } from "./store.ts";

export type DomainPorts = {
  store: Pick<
    Store,
    "addDomain" | "findDomain" | "listDomains" | "recordDnsCheck" | "removeDomain" | "rotateDomainKeys"
  >;
  mirror: Mirror<DomainRecord>;
  resolver: Pick<Resolver, "txt" | "mx">;
  mailHostname: string;
  now(): number;
  keysWaitMsMax?: number | undefined;
};

const checkAgeMsMax = 60_000;
/** Keys take the mta a second; who adds a domain wants to see their records at once. */
const keysWaitMsDefault = 5_000;
/** Domains of a list whose DNS is looked up side by side. */
const checksMax = 8;

/** What the API tells of domains whose keys are not there yet. */
const keysAreMade = (domain: Domain) =>
  new Failure("upstream.down", `${domain} has no keys yet`, {
    hint: `The signing keys of ${domain} are being made; try again in a moment`,
  });

const hasKeys = (record: DomainRecord | undefined) => record !== undefined && record.keys.length > 0;

export type Domains = {
  list(): Promise<StoredDomain[]>;
  /** Throws Failure `resource.unknown`. */
  get(domain: Domain): Promise<StoredDomain>;
  /** Resolves with the records to publish, usually with the keys'. Throws Failure `domain.exists`. */
  add(domain: Domain): Promise<StoredDomain>;
  /** Looks the records up now. Throws Failure `resource.unknown`. */
  check(domain: Domain): Promise<StoredDomain>;
  /**
   * Has next keys made, unless some are on their way, and resolves with their records to publish. Throws Failure
   * `resource.unknown`, or `upstream.down` while the domain waits for its first keys.
   */
  rotate(domain: Domain): Promise<StoredDomain>;
  /** Throws Failure `resource.unknown`. */
  remove(domain: Domain): Promise<void>;
  /**
   * The domain as the sender of mail, with keys; `undefined` if it is not set up here. Throws Failure `upstream.down`
   * while its keys are being made.
   */
  signing(domain: Domain): Promise<DomainRecord | undefined>;
};

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

export function createDomains(ports: DomainPorts): Domains {
  const { store, mirror, resolver, mailHostname, now, keysWaitMsMax = keysWaitMsDefault } = ports;

  async function find(domain: Domain): Promise<StoredDomain> {
    const row = await store.findDomain(domain);
    if (row === undefined)
      throw new Failure("resource.unknown", `no domain ${domain}`, { hint: `${domain} is not set up here` });
    return row;
  }

  async function lookOnce(row: StoredDomain): Promise<StoredDomain> {
    const checkedAt = now();
    const wanted = recordsOf(row.domain, keySetsOf(row), {
      returnPathHost: row.returnPathHost,
      mailHostname,
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
  const fresh = (row: StoredDomain) => (isStale(row) ? look(row) : row);

  return {
    async list() {
      const rows = await store.listDomains();
      const shown = [...rows];
      const stale = rows.flatMap((row, index) => (isStale(row) ? [index] : []));
      // The others wait for the next time somebody asks.
      await Promise.all(
        stale.slice(0, checksMax).map(async (index) => {
          const row = rows[index];
          if (row !== undefined) shown[index] = await look(row);
        }),
      );
      return shown;
    },
    get: async (domain) => fresh(await find(domain)),

    async check(domain) {
      const row = await look(await find(domain));
      // Whoever reads the answer sends next, and is judged by the record.
      await mirror.waitFor(
        domain,
        (record) => record === undefined || record.verified === (row.state === "verified"),
        keysWaitMsMax,
      );
      return row;
    },

    async rotate(domain) {
      const row = await find(domain);
      if (row.keys.length === 0) throw keysAreMade(domain);
      const rotating = await store.rotateDomainKeys(domain);
      const number = rotating.next?.number;
      await mirror.waitFor(
        domain,
        // Gone, made, or overtaken by the next one.
        (record) =>
          record === undefined || (record.rotation?.number === number && record.rotation?.keys.length !== 0),
        keysWaitMsMax,
      );
      return look(await find(domain));
    },

    async add(domain) {
      const returnPathHost = returnPathHostOf(domain);
      const row = await store.addDomain(
        domain,
        returnPathHost,
        recordsOf(domain, { keys: [], next: [], old: [] }, { returnPathHost, mailHostname }),
      );
      if (!hasKeys(await mirror.get(domain))) mirror.expect(domain, newDomainRecord(row));
      await mirror.waitFor(domain, hasKeys, keysWaitMsMax);
      return look(await find(domain));
    },

    async remove(domain) {
      if (!(await store.removeDomain(domain)))
        throw new Failure("resource.unknown", `no domain ${domain}`, {
          hint: `${domain} is not set up here`,
        });
      mirror.expect(domain, undefined);
    },

    async signing(domain) {
      const known = await mirror.get(domain);
      if (known === undefined || hasKeys(known)) return known;
      const keyed = await mirror.waitFor(domain, hasKeys, keysWaitMsMax);
      if (keyed !== undefined && hasKeys(keyed)) return keyed;
      throw keysAreMade(domain);
    },
  };
}
