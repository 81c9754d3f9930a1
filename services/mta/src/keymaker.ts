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

/**
 * Makes keys for every domain whose record has none, once each, one domain after the other. They are offered by
 * `domain.keyed` and used only when they come back in the record: of several offers Convex keeps the first.
 */
export function createKeymaker({ vault, publish, now, log }: KeymakerPorts) {
  const offered = new Set<Domain>();
  let work: Promise<void> = Promise.resolve();
  let retry: Timer | undefined;
  let isStopped = false;

  async function offer(record: DomainRecord): Promise<void> {
    if (isStopped || !offered.has(record.domain)) return;
    try {
      await publish("domain.keyed", {
        id: `domain.keyed.${newMessageId(now())}`,
        at: now(),
        organizationId: record.organizationId,
        domain: record.domain,
        keys: await makeKeys(record.domain, vault),
      });
      log.info("domain.keyed", { domain: record.domain });
    } catch (error) {
      log.warn("domain.key-offer-failed", { domain: record.domain, error });
      retry = setTimeout(() => enqueue(record), againMs);
    }
  }
  const enqueue = (record: DomainRecord) => {
    work = work.then(() => offer(record));
  };

  return {
    /** To be told of every record of DOMAINS, present and changed; `undefined` when it is gone. */
    see(domain: Domain, record: DomainRecord | undefined): void {
      if (record === undefined || record.keys.length > 0) offered.delete(domain);
      else if (!isStopped && !offered.has(domain)) {
        offered.add(domain);
        enqueue(record);
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
