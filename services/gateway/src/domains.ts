/**
 * Sending domains: added by a person, given keys by the mta (through Convex), looked up in DNS by us. A look happens when
 * somebody asks and the last one is older than `checkAgeMsMax`, and when the keys of a domain arrive.
 */
import { type Domain, type DomainRecord, Failure } from "@tyto/contracts";
import type { Resolver } from "@tyto/dns";
import { checkRecords, recordsOf, returnPathHostOf, stateOfDomain } from "./dns-records.ts";
import type { Mirror } from "./mirror.ts";
import { newDomainRecord, type Store, type StoredDomain } from "./store.ts";

export type DomainPorts = {
  store: Pick<Store, "addDomain" | "findDomain" | "listDomains" | "recordDnsCheck" | "removeDomain">;
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

const hasKeys = (record: DomainRecord | undefined) => record !== undefined && record.keys.length > 0;

export type Domains = {
  list(): Promise<StoredDomain[]>;
  /** Throws Failure `resource.unknown`. */
  get(domain: Domain): Promise<StoredDomain>;
  /** Resolves with the records to publish, usually with the keys'. Throws Failure `domain.exists`. */
  add(domain: Domain): Promise<StoredDomain>;
  /** Looks the records up now. Throws Failure `resource.unknown`. */
  check(domain: Domain): Promise<StoredDomain>;
  /** Throws Failure `resource.unknown`. */
  remove(domain: Domain): Promise<void>;
  /**
   * The domain as the sender of mail, with keys; `undefined` if it is not set up here. Throws Failure `upstream.down`
   * while its keys are being made.
   */
  signing(domain: Domain): Promise<DomainRecord | undefined>;
};

export function createDomains(ports: DomainPorts): Domains {
  const { store, mirror, resolver, mailHostname, now, keysWaitMsMax = keysWaitMsDefault } = ports;

  async function find(domain: Domain): Promise<StoredDomain> {
    const row = await store.findDomain(domain);
    if (row === undefined)
      throw new Failure("resource.unknown", `no domain ${domain}`, { hint: `${domain} is not set up here` });
    return row;
  }

  async function look(row: StoredDomain): Promise<StoredDomain> {
    const checkedAt = now();
    const wanted = recordsOf(row.domain, row.keys, { returnPathHost: row.returnPathHost, mailHostname });
    const records = await checkRecords(resolver, wanted);
    return store.recordDnsCheck(row.domain, { records, state: stateOfDomain(records, row.state), checkedAt });
  }

  const isStale = (row: StoredDomain) =>
    row.checked_at === undefined ||
    Date.parse(row.checked_at) < now() - checkAgeMsMax ||
    row.keys.length !== row.records.filter(({ purpose }) => purpose === "dkim").length;
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
    check: async (domain) => look(await find(domain)),

    async add(domain) {
      const returnPathHost = returnPathHostOf(domain);
      const row = await store.addDomain(
        domain,
        returnPathHost,
        recordsOf(domain, [], { returnPathHost, mailHostname }),
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
      throw new Failure("upstream.down", `${domain} has no keys yet`, {
        hint: `The signing keys of ${domain} are being made; try again in a moment`,
      });
    },
  };
}
