import type { TlsReportClaim, TlsTally } from "@tyto/contracts";
import type { Log } from "@tyto/service";
import type { Reporter } from "./report.ts";
import { Counts } from "./report-counts.ts";
import { Dispatch } from "./report-dispatch.ts";
import type { TlsOutcome } from "./tally.ts";

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

/** Counts are stored at most so often. */
const saveMs = 10_000;
/** How often reports of past days are looked for. A random part of it comes first, so that not all write at midnight. */
const sendMs = 3_600_000;

/**
 * Counts encrypted and failed sessions per domain and day (UTC), and sends each domain that asks for it a report of the
 * day before (RFC 8460).
 */
export function createReports(ports: ReportPorts) {
  const { reporter, random, log } = ports;
  const counts = new Counts(ports);
  const dispatch = new Dispatch(ports);
  let sending: Promise<void> = Promise.resolve();

  /** Stores what was counted, a bounded part of it at a time. */
  const save = () => counts.save();
  async function sendPast(): Promise<void> {
    await counts.pastSaved();
    await dispatch.send();
  }
  /** Sends the reports of past days that nobody has sent. */
  function send(): Promise<void> {
    // Whatever came of the last time, which was told to its caller.
    sending = sending.then(sendPast, sendPast);
    return sending;
  }

  /** Runs by itself until `stop`, which stores what is left. */
  function run(): { stop(): Promise<void> } {
    const report = (error: unknown) => log.warn("mta.tls-reports-broke", { error });
    const saver = setInterval(() => save().catch(report), saveMs);
    let sender = setTimeout(sendAgain, random() * sendMs);
    function sendAgain() {
      send().catch(report);
      sender = setTimeout(sendAgain, sendMs * (0.5 + random() * 0.5));
    }
    return {
      async stop() {
        clearInterval(saver);
        clearTimeout(sender);
        await counts.save(Number.POSITIVE_INFINITY).catch(report);
      },
    };
  }

  return {
    /** Counts one session of a domain. */
    count: (domain: string, outcome: TlsOutcome) => counts.count(domain, outcome),
    save,
    send,
    run,
    status: () => ({
      ...counts.status(),
      isSending: reporter !== undefined,
      ...(dispatch.lastSentAtMs === undefined ? {} : { lastSentAtMs: dispatch.lastSentAtMs }),
    }),
  };
}
