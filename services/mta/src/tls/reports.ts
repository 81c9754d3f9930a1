import { gzipSync } from "node:zlib";
import type { TlsReportClaim, TlsTally } from "@tyto/contracts";
import { DnsError } from "@tyto/dns";
import type { Log } from "@tyto/service";
import { type Destination, parseReportRecord, type Reporter, reportJson } from "./report.ts";
import { addOutcome, dayOf, mergeTallies, type TlsOutcome } from "./tally.ts";

type Store<T> = {
  get(key: string): Promise<T | undefined>;
  put(key: string, value: T): Promise<void>;
  create(key: string, value: T): Promise<boolean>;
  delete(key: string): Promise<void>;
  watch(onChange: (key: string, value: T | undefined) => void): Promise<{ stop(): void }>;
};

export type ReportPorts = {
  /** Texts of TXT records; throws DnsError. */
  txt(name: string): Promise<readonly string[]>;
  tallies: Pick<Store<TlsTally>, "put" | "watch">;
  claims: Pick<Store<TlsReportClaim>, "get" | "put" | "create">;
  /** Hands a report to a server; a text says why that failed. */
  post(url: URL, packed: Uint8Array): Promise<string | undefined>;
  /** Puts a report into the queue as mail; a text says why that failed. */
  mail(tally: TlsTally, reporter: Reporter, to: string, packed: Uint8Array): Promise<string | undefined>;
  /** Absent: sessions are counted and shown, and nobody gets a report. */
  reporter: Reporter | undefined;
  /** Names this process among those that count. */
  process: string;
  now: () => number;
  random: () => number;
  log: Pick<Log, "info" | "warn">;
};

/** Domains with counts of a day. Those that want no report are forgotten as soon as that is known. */
const domainsMax = 10_000;
/** Domains that are known to want no report, until their day is over. */
const unwantedMax = 100_000;
/** Counts are stored at most so often, and so many at a time. */
const saveMs = 10_000;
const savesMax = 200;
/** How often reports of past days are looked for. A random part of it comes first, so that not all write at midnight. */
const sendMs = 3_600_000;
/** RFC 8460 §5.4: a report that cannot be handed over is tried again for a day. */
const triesMax = 24;
/** A claim whose process died before it sent. */
const claimMs = 600_000;
const reportsAtOnceMax = 10;
/** A day's counts are complete so long after it: other processes store their last ones. */
const graceMs = 300_000;

/** Whether the domain wants a report; `undefined` while DNS has not told. */
type Counted = { tally: TlsTally; isWanted?: boolean; isSaved: boolean };

/**
 * Counts encrypted and failed sessions per domain and day (UTC), and sends each domain that asks for it a report of the
 * day before (RFC 8460). Counts are kept in a bucket under the process's own name; whoever claims a domain's report first
 * adds up the counts of all processes, dead ones too, and sends it.
 */
export function createReports(ports: ReportPorts) {
  const { txt, tallies, claims, post, mail, reporter, process, now, random, log } = ports;
  let day = dayOf(now());
  let counted = new Map<string, Counted>();
  let unwanted = new Set<string>();
  let uncounted = 0;
  let lastSentAtMs: number | undefined;
  let saving: Promise<void> = Promise.resolve();
  let sending: Promise<void> = Promise.resolve();

  async function destinationsOf(domain: string): Promise<Destination[] | undefined> {
    try {
      return parseReportRecord(await txt(`_smtp._tls.${domain}`));
    } catch (error) {
      if (!(error instanceof DnsError)) throw error;
      return error.kind === "name" ? [] : undefined;
    }
  }

  /** Mail does not wait for this: whether a domain wants a report is found out while its first session is counted. */
  async function ask(domain: string, entry: Counted): Promise<void> {
    const destinations = await destinationsOf(domain);
    if (destinations === undefined) return;
    entry.isWanted = destinations.length > 0;
    if (entry.isWanted || counted.get(domain) !== entry) return;
    counted.delete(domain);
    if (unwanted.size < unwantedMax) unwanted.add(domain);
  }

  function turnDay() {
    const today = dayOf(now());
    if (today === day) return;
    const yesterday = counted;
    day = today;
    counted = new Map();
    unwanted = new Set();
    saving = saving.then(() => save(yesterday, Number.POSITIVE_INFINITY));
  }

  async function save(from: Map<string, Counted>, atMost: number): Promise<void> {
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

  async function pastTallies(): Promise<Map<string, TlsTally[]>> {
    const today = dayOf(now() - graceMs);
    const found = new Map<string, TlsTally[]>();
    const watch = await tallies.watch((_key, tally) => {
      if (tally === undefined || tally.day >= today) return;
      const name = `${tally.day}.${tally.domain}`;
      found.set(name, [...(found.get(name) ?? []), tally]);
    });
    watch.stop();
    return found;
  }

  /** True when this process is to send the report now. */
  async function claim(name: string): Promise<TlsReportClaim | undefined> {
    const fresh: TlsReportClaim = { at: now(), isSent: false, tries: 1 };
    if (await claims.create(name, fresh)) return fresh;
    const old = await claims.get(name);
    if (old === undefined || old.isSent || old.tries >= triesMax || now() < old.at + claimMs)
      return undefined;
    const again = { at: now(), isSent: false, tries: old.tries + 1 };
    await claims.put(name, again);
    return again;
  }

  async function sendOne(name: string, found: readonly TlsTally[], from: Reporter): Promise<void> {
    const [first] = found;
    if (first === undefined) return;
    const tally = mergeTallies(first.day, first.domain, found);
    const destinations = await destinationsOf(tally.domain);
    if (destinations === undefined || destinations.length === 0) return;
    const claimed = await claim(name);
    if (claimed === undefined) return;
    const packed = gzipSync(JSON.stringify(reportJson(tally, from)));
    for (const destination of destinations) {
      const problem =
        destination.kind === "https"
          ? await post(destination.url, packed)
          : await mail(tally, from, destination.address, packed);
      const to = destination.kind === "https" ? destination.url.host : destination.address;
      if (problem !== undefined) {
        log.warn("mta.tls-report-failed", { domain: tally.domain, day: tally.day, to, why: problem });
        continue;
      }
      // RFC 8460 §3: one of the destinations is enough.
      log.info("mta.tls-report-sent", { domain: tally.domain, day: tally.day, to });
      lastSentAtMs = now();
      await claims.put(name, { ...claimed, isSent: true });
      return;
    }
  }

  async function sendPast(): Promise<void> {
    if (reporter === undefined) return;
    const due = [...(await pastTallies())];
    for (let from = 0; from < due.length; from += reportsAtOnceMax)
      await Promise.all(
        due
          .slice(from, from + reportsAtOnceMax)
          .map(([name, found]) =>
            sendOne(name, found, reporter).catch((error: unknown) =>
              log.warn("mta.tls-report-failed", { name, error }),
            ),
          ),
      );
  }

  return {
    /** Counts one session of a domain. */
    count(domain: string, outcome: TlsOutcome): void {
      turnDay();
      if (unwanted.has(domain)) return;
      let entry = counted.get(domain);
      if (entry === undefined) {
        if (counted.size >= domainsMax) {
          uncounted++;
          return;
        }
        entry = { tally: { day, domain, policies: [] }, isSaved: true };
        counted.set(domain, entry);
        ask(domain, entry).catch((error: unknown) => log.warn("mta.tls-report-not-asked", { domain, error }));
      }
      addOutcome(entry.tally, outcome);
      entry.isSaved = false;
    },

    /** Stores what was counted, a bounded part of it at a time. */
    save(): Promise<void> {
      turnDay();
      saving = saving.then(() => save(counted, savesMax));
      return saving;
    },

    /** Sends the reports of past days that nobody has sent. */
    send(): Promise<void> {
      turnDay();
      sending = sending.then(() => saving).then(sendPast);
      return sending;
    },

    /** Runs by itself until `stop`, which stores what is left. */
    run(): { stop(): Promise<void> } {
      const report = (error: unknown) => log.warn("mta.tls-reports-broke", { error });
      const saver = setInterval(() => this.save().catch(report), saveMs);
      let sender = setTimeout(send, random() * sendMs, this);
      function send(reports: { send(): Promise<void> }) {
        reports.send().catch(report);
        sender = setTimeout(send, sendMs * (0.5 + random() * 0.5), reports);
      }
      return {
        stop: async () => {
          clearInterval(saver);
          clearTimeout(sender);
          saving = saving.then(() => save(counted, Number.POSITIVE_INFINITY));
          await saving.catch(report);
        },
      };
    },

    status() {
      return {
        day,
        domains: counted.size,
        uncounted,
        isSending: reporter !== undefined,
        ...(lastSentAtMs === undefined ? {} : { lastSentAtMs }),
      };
    },
  };
}
