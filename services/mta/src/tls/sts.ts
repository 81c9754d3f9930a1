import { DnsError } from "@tyto/dns";
import { BoundedMap, type Log } from "@tyto/service";
import type { TlsProblem } from "./result.ts";
import { fetchInTurn } from "./sts-fetch.ts";
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

type Known = {
  record?: StsRecord;
  problem?: TlsProblem;
  /** Not looked at again before. */
  checkAtMs: number;
  looking?: Promise<void>;
};

/**
 * Policies of MTA-STS (RFC 8461): found by TXT record, fetched by HTTPS, kept for `max_age` in memory and in a bucket.
 * One that is kept counts until it runs out, whatever happens to its record or its web server: else somebody who can
 * suppress both could switch it off.
 */
export class Sts {
  readonly #ports: StsPorts;
  readonly #fetch: (domain: string) => Promise<Fetched>;
  readonly #domains = new BoundedMap<string, Known>(domainsMax);

  constructor(ports: StsPorts) {
    this.#ports = ports;
    this.#fetch = fetchInTurn(ports.fetchPolicy);
  }

  /**
   * The policy that counts now. Only a domain that nothing is known of makes its first message wait, for `waitMsMax` at
   * the most. Throws Failure when the bucket cannot be read: what it may demand is not known then.
   */
  async find(name: string): Promise<StsFinding> {
    const domain = name.toLowerCase();
    const entry = await this.#known(domain);
    if (this.#ports.now() >= entry.checkAtMs || entry.looking !== undefined) {
      const looking = this.#look(domain, entry);
      if (this.#live(entry) === undefined) await atMost(looking, waitMsMax);
    }
    const record = this.#live(entry);
    if (record !== undefined) return { kind: "policy", policy: record, id: record.id };
    return entry.problem === undefined ? { kind: "none" } : { kind: "failed", problem: entry.problem };
  }

  async #known(domain: string): Promise<Known> {
    const found = this.#domains.get(domain) ?? (await this.#stored(domain));
    // Another message may have read the bucket meanwhile.
    const entry = this.#domains.get(domain) ?? found;
    this.#domains.set(domain, entry);
    return entry;
  }

  async #stored(domain: string): Promise<Known> {
    const record = await this.#ports.store.get(domain);
    return { ...(record === undefined ? {} : { record }), checkAtMs: 0 };
  }

  /** The record that is kept, while it has not run out. */
  #live({ record }: Known): StsRecord | undefined {
    if (record === undefined) return undefined;
    return this.#ports.now() < record.fetchedAt + record.maxAgeS * 1_000 ? record : undefined;
  }

  /** One look at a domain at a time; all who wait for it wait for the same one. */
  async #look(domain: string, entry: Known): Promise<void> {
    entry.looking ??= this.#refresh(domain, entry).finally(() => {
      delete entry.looking;
    });
    try {
      await entry.looking;
    } catch (error) {
      this.#ports.log.warn("mta.sts-not-looked-at", { domain, error });
    }
  }

  async #refresh(domain: string, entry: Known): Promise<void> {
    const { now } = this.#ports;
    entry.checkAtMs = now() + failureMs;
    const found = await this.#askRecord(domain);
    if (found === "silence") return;
    const live = this.#live(entry);
    if (found === "no name") entry.checkAtMs = now() + absentMs;
    else if (found.id === undefined) rest(entry, now() + (live === undefined ? absentMs : checkMs));
    else if (live?.id === found.id && now() < freshUntilMs(live)) rest(entry, now() + checkMs);
    else await this.#replace(domain, entry, found.id);
  }

  /** The id that the domain's TXT record names, if there is such a record. */
  async #askRecord(domain: string): Promise<{ id: string | undefined } | "no name" | "silence"> {
    try {
      return { id: parseStsRecord(await this.#ports.txt(`_mta-sts.${domain}`)) };
    } catch (error) {
      if (!(error instanceof DnsError)) throw error;
      return error.kind === "name" ? "no name" : "silence";
    }
  }

  /** Fetches the policy; one that cannot be had leaves the old one as it is. */
  async #replace(domain: string, entry: Known, id: string): Promise<void> {
    const { now, log } = this.#ports;
    const policy = policyIn(domain, await this.#fetch(domain));
    if ("result" in policy) {
      entry.problem = policy;
      log.warn("mta.sts-not-fetched", { domain, why: policy.why, isKept: this.#live(entry) !== undefined });
      return;
    }
    entry.record = { ...policy, domain, id, fetchedAt: now() };
    rest(entry, now() + checkMs);
    log.info("mta.sts-fetched", { domain, mode: policy.mode, id });
    await this.#keep(domain, entry.record);
  }

  async #keep(domain: string, record: StsRecord): Promise<void> {
    try {
      await this.#ports.store.put(domain, record);
    } catch (error) {
      // It counts for this process; the next refresh stores it.
      this.#ports.log.warn("mta.sts-not-stored", { domain, error });
    }
  }

  /** Looks at every kept policy whose time for that has come. To be called every hour or so. */
  async refreshKept(): Promise<void> {
    const due = [...this.#domains].filter(
      ([, entry]) => this.#live(entry) !== undefined && this.#ports.now() >= entry.checkAtMs,
    );
    await Promise.all(due.map(([domain, entry]) => this.#look(domain, entry)));
  }

  status() {
    const modes = { enforce: 0, testing: 0, none: 0 };
    for (const entry of this.#domains.values()) {
      const record = this.#live(entry);
      if (record !== undefined) modes[record.mode]++;
    }
    return { domains: this.#domains.size, policies: modes };
  }

  /** What is remembered of one domain; asks nobody. */
  remembered(domain: string): { record?: StsRecord; problem?: TlsProblem } | undefined {
    const entry = this.#domains.get(domain.toLowerCase());
    if (entry === undefined) return undefined;
    const record = this.#live(entry);
    return {
      ...(record === undefined ? {} : { record }),
      ...(entry.problem === undefined ? {} : { problem: entry.problem }),
    };
  }
}

export const createSts = (ports: StsPorts): Sts => new Sts(ports);

/** Nothing is wrong with it. */
function rest(entry: Known, checkAtMs: number): void {
  delete entry.problem;
  entry.checkAtMs = checkAtMs;
}

/** As long as the policy need not be fetched again while its id stays. */
const freshUntilMs = ({ fetchedAt, maxAgeS }: StsRecord) => fetchedAt + Math.min(refreshMs, maxAgeS * 500);

function policyIn(domain: string, fetched: Fetched): StsPolicy | TlsProblem {
  if (fetched.kind === "failed") return fetched.problem;
  const policy = parseStsPolicy(fetched.text);
  if (typeof policy !== "string") return policy;
  return { result: "sts-policy-invalid", why: `the MTA-STS policy of ${domain} cannot be read: ${policy}` };
}

async function atMost(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: Timer | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work, late]);
  clearTimeout(timer);
}
