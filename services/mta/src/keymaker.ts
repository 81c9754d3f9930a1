import { type Domain, type DomainRecord, newMessageId, type Payload } from "@tyto/contracts";
import type { Log } from "@tyto/service";
import { makeKeys, type Vault } from "./keys.ts";

export type KeymakerPorts = {
  vault: Vault;
  publish(subject: "domain.keyed", payload: Payload<"domain.keyed">): Promise<void>;
  now: () => number;
  log: Log;
};

const againMs = 5_000;

/** The number of the set of keys that a domain waits for; `undefined` when it has what it asked for. */
function wantedBy({ keys, rotation }: DomainRecord): number | undefined {
  if (keys.length === 0) return 1;
  return rotation?.keys.length === 0 ? rotation.number : undefined;
}

/**
 * Makes keys for every domain whose record has none or whose rotation asks for the next ones, once each, one domain after
 * the other. They are offered by `domain.keyed` and used only when they come back in the record: of several offers
 * Convex keeps the first.
 */
export function createKeymaker({ vault, publish, now, log }: KeymakerPorts) {
  const offered = new Map<Domain, number>();
  let work: Promise<void> = Promise.resolve();
  let retry: Timer | undefined;
  let isStopped = false;

  async function offer(record: DomainRecord, number: number): Promise<void> {
    if (isStopped || offered.get(record.domain) !== number) return;
    try {
      await publish("domain.keyed", {
        id: `domain.keyed.${newMessageId(now())}`,
        at: now(),
        organizationId: record.organizationId,
        domain: record.domain,
        ...(number === 1 ? {} : { rotation: number }),
        keys: await makeKeys(record.domain, vault, number),
      });
      log.info("domain.keyed", { domain: record.domain, number });
    } catch (error) {
      log.warn("domain.key-offer-failed", { domain: record.domain, error });
      retry = setTimeout(() => enqueue(record, number), againMs);
    }
  }
  const enqueue = (record: DomainRecord, number: number) => {
    work = work.then(() => offer(record, number));
  };

  return {
    /** To be told of every record of DOMAINS, present and changed; `undefined` when it is gone. */
    see(domain: Domain, record: DomainRecord | undefined): void {
      const number = record === undefined ? undefined : wantedBy(record);
      if (record === undefined || number === undefined) offered.delete(domain);
      else if (!isStopped && offered.get(domain) !== number) {
        offered.set(domain, number);
        enqueue(record, number);
      }
    },
    /** Resolves when every offer that was begun is over. */
    settled: () => work,
    async stop(): Promise<void> {
      isStopped = true;
      clearTimeout(retry);
      await work;
    },
  };
}
