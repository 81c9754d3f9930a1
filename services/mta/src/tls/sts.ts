import { DnsError } from "@tyto/dns";
import { BoundedMap, type Log } from "@tyto/service";
import type { TlsProblem } from "./result.ts";
import { parseStsPolicy, parseStsRecord, type StsPolicy } from "./sts-policy.ts";

/** What is known of a domain's MTA-STS policy. */
export type StsFinding =
  | { kind: "none" }
  | { kind: "policy"; policy: StsPolicy; id: string }
  /** The domain says that it has one, and it cannot be had; mail goes on as without (RFC 8461 §3.3). */
  | { kind: "failed"; problem: TlsProblem };

/** A policy as it is kept over restarts. */
export type StsRecord = StsPolicy & { domain: string; id: string; fetchedAt: number };

/** What came of fetching a policy. */
export type Fetched = { kind: "text"; text: string } | { kind: "failed"; problem: TlsProblem };

export type StsPorts = {
  /** Texts of TXT records; throws DnsError. */
  txt(name: string): Promise<readonly string[]>;
  /** The policy file of a domain, by HTTPS. Must end within its own time. */
  fetchPolicy(domain: string): Promise<Fetched>;
  store: {
    get(domain: string): Promise<StsRecord | undefined>;
    put(domain: string, record: StsRecord): Promise<void>;
  };
  now: () => number;
  log: Pick<Log, "info" | "warn">;
};

/** A message waits so long for the policy of a domain that nobody has written to before, and then goes without. */
const waitMsMax = 12_000;
/** A policy is looked at again after this time, without a message waiting for it. */
const checkMs = 600_000;
/** It is fetched again after this time even if its id stayed, so that it does not run out (RFC 8461 §10.2). */
const refreshMs = 86_400_000;
/** A domain without a policy is asked again after this time. */
const absentMs = 3_600_000;
/** RFC 8461 §3.3: at least five minutes between two tries. */
const failureMs = 300_000;
/** Domains remembered; the one unused for longest is forgotten first, and its policy is read from the bucket again. */
const domainsMax = 20_000;
const fetchesMax = 30;
/** Fetches that wait for one of the places; more are put off. */
const fetchesWaitingMax = 2_000;

type Known = {
  record?: StsRecord;
  problem?: TlsProblem;
  /** Not looked at again before. */
  checkAtMs: number;
  looking?: Promise<void>;
};

export type Sts = ReturnType<typeof createSts>;

/**
 * Policies of MTA-STS (RFC 8461): found by TXT record, fetched by HTTPS, kept for `max_age` in memory and in a bucket.
 * One that is kept counts until it runs out, whatever happens to its record or its web server: else somebody who can
 * suppress both could switch it off.
 */
export function createSts({ txt, fetchPolicy, store, now, log }: StsPorts) {
  const domains = new BoundedMap<string, Known>(domainsMax);
  let fetching = 0;
  const waiting: (() => void)[] = [];

  const isAlive = ({ fetchedAt, maxAgeS }: StsRecord) => now() < fetchedAt + maxAgeS * 1_000;
  const liveRecord = ({ record }: Known) => (record !== undefined && isAlive(record) ? record : undefined);

  async function known(domain: string): Promise<Known> {
    const found = domains.get(domain) ?? { ...(await stored(domain)), checkAtMs: 0 };
    const entry = domains.get(domain) ?? found;
    domains.set(domain, entry);
    return entry;
  }

  async function stored(domain: string): Promise<Pick<Known, "record">> {
    const record = await store.get(domain);
    return record === undefined ? {} : { record };
  }

  /** One look at a domain at a time; all who wait for it wait for the same one. */
  function look(domain: string, entry: Known): Promise<void> {
    entry.looking ??= refresh(domain, entry).finally(() => {
      delete entry.looking;
    });
    return entry.looking;
  }

  async function refresh(domain: string, entry: Known): Promise<void> {
    entry.checkAtMs = now() + failureMs;
    let id: string | undefined;
    try {
      id = parseStsRecord(await txt(`_mta-sts.${domain}`));
    } catch (error) {
      if (!(error instanceof DnsError)) throw error;
      if (error.kind === "name") entry.checkAtMs = now() + absentMs;
      return;
    }
    const live = liveRecord(entry);
    if (id === undefined) {
      delete entry.problem;
      entry.checkAtMs = now() + (live === undefined ? absentMs : checkMs);
      return;
    }
    const isFresh = live !== undefined && now() < live.fetchedAt + Math.min(refreshMs, live.maxAgeS * 500);
    if (isFresh && live.id === id) {
      delete entry.problem;
      entry.checkAtMs = now() + checkMs;
      return;
    }
    const fetched = await fetchInTurn(domain);
    const policy = fetched.kind === "text" ? parseStsPolicy(fetched.text) : undefined;
    if (fetched.kind === "failed" || policy === undefined || typeof policy === "string") {
      entry.problem =
        fetched.kind === "failed"
          ? fetched.problem
          : {
              result: "sts-policy-invalid",
              why: `the MTA-STS policy of ${domain} cannot be read: ${policy}`,
            };
      log.warn("mta.sts-not-fetched", { domain, why: entry.problem.why, isKept: live !== undefined });
      return;
    }
    const record: StsRecord = { ...policy, domain, id, fetchedAt: now() };
    entry.record = record;
    delete entry.problem;
    entry.checkAtMs = now() + checkMs;
    log.info("mta.sts-fetched", { domain, mode: policy.mode, id });
    try {
      await store.put(domain, record);
    } catch (error) {
      // It counts for this process; the next refresh stores it.
      log.warn("mta.sts-not-stored", { domain, error });
    }
  }

  async function fetchInTurn(domain: string): Promise<Fetched> {
    if (fetching >= fetchesMax) {
      if (waiting.length >= fetchesWaitingMax)
        return {
          kind: "failed",
          problem: { result: "sts-policy-fetch-error", why: "too many policies are being fetched" },
        };
      await new Promise<void>((resolve) => waiting.push(resolve));
    } else fetching++;
    try {
      return await fetchPolicy(domain);
    } finally {
      const next = waiting.shift();
      if (next === undefined) fetching--;
      else next();
    }
  }

  return {
    /**
     * The policy that counts now. Only a domain that nothing is known of makes its first message wait, for `waitMsMax` at
     * the most. Throws Failure when the bucket cannot be read: what it may demand is not known then.
     */
    async find(name: string): Promise<StsFinding> {
      const domain = name.toLowerCase();
      const entry = await known(domain);
      if (now() >= entry.checkAtMs || entry.looking !== undefined) {
        const looking = look(domain, entry).catch((error: unknown) =>
          log.warn("mta.sts-not-looked-at", { domain, error }),
        );
        if (liveRecord(entry) === undefined) await atMost(looking, waitMsMax);
      }
      const record = liveRecord(entry);
      if (record !== undefined) return { kind: "policy", policy: record, id: record.id };
      return entry.problem === undefined ? { kind: "none" } : { kind: "failed", problem: entry.problem };
    },

    /** Looks at every kept policy whose time for that has come. To be called every hour or so. */
    async refreshKept(): Promise<void> {
      const due = [...domains].filter(
        ([, entry]) => liveRecord(entry) !== undefined && now() >= entry.checkAtMs,
      );
      await Promise.all(
        due.map(([domain, entry]) =>
          look(domain, entry).catch((error: unknown) => log.warn("mta.sts-not-looked-at", { domain, error })),
        ),
      );
    },

    status() {
      const modes = { enforce: 0, testing: 0, none: 0 };
      for (const entry of domains.values()) {
        const record = liveRecord(entry);
        if (record !== undefined) modes[record.mode]++;
      }
      return { domains: domains.size, policies: modes };
    },

    /** What is remembered of one domain; asks nobody. */
    remembered(domain: string): { record?: StsRecord; problem?: TlsProblem } | undefined {
      const entry = domains.get(domain.toLowerCase());
      if (entry === undefined) return undefined;
      const record = liveRecord(entry);
      return {
        ...(record === undefined ? {} : { record }),
        ...(entry.problem === undefined ? {} : { problem: entry.problem }),
      };
    },
  };
}

async function atMost(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: Timer | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work, late]);
  clearTimeout(timer);
}
