/**
 * Sending domains: added by a person, given keys by the mta (through Convex), looked up in DNS by us. A look happens when
 * somebody asks and the last one is stale (domain-looks.ts), when the keys of a domain arrive, and from time to time by
 * itself (domain-watch.ts). The look that finds all next keys of a domain makes them sign; convex/model/rotation.ts decides.
 */
import { type Domain, type DomainRecord, Failure } from "@tyto/contracts";
import { recordsOf, returnPathHostOf } from "./dns-records.ts";
import { createLooks, type LookPorts } from "./domain-looks.ts";
import type { Mirror } from "./mirror.ts";
import { newDomainRecord, type Store, type StoredDomain } from "./store.ts";

export type DomainPorts = LookPorts & {
  store: Pick<Store, "addDomain" | "findDomain" | "listDomains" | "removeDomain" | "rotateDomainKeys">;
  mirror: Mirror<DomainRecord>;
  keysWaitMsMax?: number | undefined;
};

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

export function createDomains(ports: DomainPorts): Domains {
  const { store, mirror, mailHostname, senders, keysWaitMsMax = keysWaitMsDefault } = ports;
  const { look, isStale } = createLooks(ports);

  async function find(domain: Domain): Promise<StoredDomain> {
    const row = await store.findDomain(domain);
    if (row === undefined)
      throw new Failure("resource.unknown", `no domain ${domain}`, { hint: `${domain} is not set up here` });
    return row;
  }

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
        recordsOf(
          domain,
          { keys: [], next: [], old: [] },
          { returnPathHost, mailHostname, senders: await senders.mechanisms() },
        ),
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
