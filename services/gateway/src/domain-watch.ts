/**
 * Looks at the DNS of every domain from time to time, so that what the world sees of it is known without anybody asking,
 * keys that wait for their records take over by themselves, and old keys get successors.
 */
import { Domain } from "@tyto/contracts";
import type { Log } from "@tyto/service";
import type { Domains } from "./domains.ts";
import type { StoredDomain } from "./store.ts";

export type WatchPorts = {
  domains: Pick<Domains, "check" | "rotate">;
  listDomains(): Promise<StoredDomain[]>;
  now(): number;
  random(): number;
  log: Pick<Log, "info" | "warn">;
};

const hourMs = 3_600_000;
const checkEveryMs = 6 * hourMs;
/** While somebody is about to publish records. */
const checkOpenEveryMs = hourMs;
/** How often it is seen to who is due. */
const sweepEveryMs = 600_000;
/** A part by which every wait is shortened or lengthened, so that gateways and domains do not all ask at once. */
const jitter = 0.2;
const sideBySideMax = 4;
const dayMs = 24 * hourMs;

/** Whether a domain's DNS is to be looked at now. `jittered` spreads a wait. */
export function isDue(row: StoredDomain, nowMs: number, jittered: (ms: number) => number): boolean {
  if (row.checked_at === undefined) return true;
  const isOpen = row.state === "pending" || row.next !== undefined;
  return nowMs - Date.parse(row.checked_at) >= jittered(isOpen ? checkOpenEveryMs : checkEveryMs);
}

/**
 * Whether the keys are old enough for successors. Not while others wait, nor while the domain is not in order: who does
 * not publish the first records will not publish the next ones.
 */
const isOld = (row: StoredDomain, nowMs: number, rotateDays: number): boolean =>
  rotateDays > 0 &&
  row.state === "verified" &&
  row.next === undefined &&
  nowMs - row.keysSinceMs >= rotateDays * dayMs;

export type DomainWatch = {
  /** Looks at all domains that are due, a few side by side; what fails is told and tried at the next sweep. */
  sweep(): Promise<void>;
  stop(): Promise<void>;
};

/** Begins a sweep every ten minutes or so. `rotateDays`: the age at which keys get successors, 0 for never. */
export function watchDomains(ports: WatchPorts, rotateDays: number): DomainWatch {
  const { domains, listDomains, now, random, log } = ports;
  const jittered = (ms: number) => ms * (1 - jitter + 2 * jitter * random());
  let timer: Timer | undefined;
  let sweeping: Promise<void> | undefined;
  let isStopped = false;

  async function tend(row: StoredDomain): Promise<void> {
    const domain = Domain.parse(row.domain);
    try {
      if (isOld(row, now(), rotateDays)) {
        const { next } = await domains.rotate(domain);
        log.info("domain.rotating", { domain, number: next?.number });
      } else if (isDue(row, now(), jittered)) {
        const seen = await domains.check(domain);
        if (row.next !== undefined && seen.next === undefined)
          log.info("domain.rotated", { domain, number: row.next.number });
        if (seen.state !== row.state) log.info("domain.state", { domain, was: row.state, is: seen.state });
      }
    } catch (error) {
      log.warn("domain.check-failed", { domain, error });
    }
  }

  async function sweepAll(): Promise<void> {
    const rows = await listDomains();
    let next = 0;
    const lane = async () => {
      for (let row = rows[next++]; row !== undefined && !isStopped; row = rows[next++]) await tend(row);
    };
    await Promise.all(Array.from({ length: sideBySideMax }, lane));
  }

  const sweep = (): Promise<void> => {
    sweeping ??= sweepAll()
      .catch((error: unknown) => log.warn("domain.sweep-failed", { error }))
      .finally(() => {
        sweeping = undefined;
      });
    return sweeping;
  };
  const wait = () => {
    timer = setTimeout(async () => {
      await sweep();
      if (!isStopped) wait();
    }, jittered(sweepEveryMs));
    timer.unref();
  };
  wait();

  return {
    sweep,
    async stop() {
      isStopped = true;
      clearTimeout(timer);
      await sweeping;
    },
  };
}
