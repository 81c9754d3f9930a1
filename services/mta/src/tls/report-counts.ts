import type { TlsTally } from "@tyto/contracts";
import { destinationsOf } from "./report-destinations.ts";
import type { ReportPorts } from "./reports.ts";
import { addOutcome, dayOf, type TlsOutcome } from "./tally.ts";

/** Domains with counts of a day. Those that want no report are forgotten as soon as that is known. */
const domainsMax = 10_000;
/** Domains that are known to want no report, until their day is over. */
const unwantedMax = 100_000;
/** So many are stored at a time. */
const savesMax = 200;

/** Whether the domain wants a report; `undefined` while DNS has not told. */
type Counted = { tally: TlsTally; isWanted?: boolean; isSaved: boolean };

/**
 * Counts the sessions of the day (UTC) per domain that wants a report, and stores them under the process's own name. What
 * a day left is stored when the next begins.
 */
export class Counts {
  readonly #ports: Pick<ReportPorts, "txt" | "tallies" | "process" | "now" | "log">;
  #day: string;
  #counted = new Map<string, Counted>();
  #unwanted = new Set<string>();
  #uncounted = 0;
  #saving: Promise<void> = Promise.resolve();

  constructor(ports: Pick<ReportPorts, "txt" | "tallies" | "process" | "now" | "log">) {
    this.#ports = ports;
    this.#day = dayOf(ports.now());
  }

  count(domain: string, outcome: TlsOutcome): void {
    this.#turnDay();
    if (this.#unwanted.has(domain)) return;
    const entry = this.#counted.get(domain) ?? this.#begin(domain);
    if (entry === undefined) {
      this.#uncounted++;
      return;
    }
    addOutcome(entry.tally, outcome);
    entry.isSaved = false;
  }

  /** `undefined` when there are as many domains as may be. */
  #begin(domain: string): Counted | undefined {
    if (this.#counted.size >= domainsMax) return undefined;
    const entry: Counted = { tally: { day: this.#day, domain, policies: [] }, isSaved: true };
    this.#counted.set(domain, entry);
    this.#ask(domain, entry).catch((error: unknown) =>
      this.#ports.log.warn("mta.tls-report-not-asked", { domain, error }),
    );
    return entry;
  }

  /** Mail does not wait for this: whether a domain wants a report is found out while its first session is counted. */
  async #ask(domain: string, entry: Counted): Promise<void> {
    const destinations = await destinationsOf(domain, this.#ports.txt);
    if (destinations === undefined) return;
    entry.isWanted = destinations.length > 0;
    if (entry.isWanted || this.#counted.get(domain) !== entry) return;
    this.#counted.delete(domain);
    if (this.#unwanted.size < unwantedMax) this.#unwanted.add(domain);
  }

  #turnDay(): void {
    const today = dayOf(this.#ports.now());
    if (today === this.#day) return;
    const yesterday = this.#counted;
    this.#day = today;
    this.#counted = new Map();
    this.#unwanted = new Set();
    this.#saving = this.#saving.then(() => this.#store(yesterday, Number.POSITIVE_INFINITY));
  }

  /** Stores what was counted, `savesMax` domains of it at a time. */
  save(atMost = savesMax): Promise<void> {
    this.#turnDay();
    this.#saving = this.#saving.then(() => this.#store(this.#counted, atMost));
    return this.#saving;
  }

  /** Resolves when the days before are stored. */
  pastSaved(): Promise<void> {
    this.#turnDay();
    return this.#saving;
  }

  /** A bucket that is away ends it; what is left is stored the next time. */
  async #store(from: Map<string, Counted>, atMost: number): Promise<void> {
    const { tallies, process, log } = this.#ports;
    let left = atMost;
    for (const [domain, entry] of from) {
      if (entry.isSaved || entry.isWanted === false) continue;
      if (left-- <= 0) return;
      entry.isSaved = true;
      try {
        await tallies.put(`${entry.tally.day}.${process}.${domain}`, structuredClone(entry.tally));
      } catch (error) {
        entry.isSaved = false;
        log.warn("mta.tls-counts-not-stored", { error });
        return;
      }
    }
  }

  status = () => ({ day: this.#day, domains: this.#counted.size, uncounted: this.#uncounted });
}
