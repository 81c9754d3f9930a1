import { gzipSync } from "node:zlib";
import type { TlsReportClaim, TlsTally } from "@tyto/contracts";
import { type Destination, type Reporter, reportJson } from "./report.ts";
import { destinationsOf } from "./report-destinations.ts";
import type { ReportPorts } from "./reports.ts";
import { dayOf, mergeTallies } from "./tally.ts";

/** RFC 8460 §5.4: a report that cannot be handed over is tried again for a day. */
const triesMax = 24;
/** A claim whose process died before it sent. */
const claimMs = 600_000;
const atOnceMax = 10;
/** A day's counts are complete so long after it: other processes store their last ones. */
const graceMs = 300_000;

/**
 * Sends the reports of past days. Whoever claims a domain's report first adds up the counts of all processes, dead ones
 * too, and sends it.
 */
export class Dispatch {
  readonly #ports: Omit<ReportPorts, "process" | "random">;
  lastSentAtMs: number | undefined;

  constructor(ports: Omit<ReportPorts, "process" | "random">) {
    this.#ports = ports;
  }

  /** Sends what nobody has sent yet. */
  async send(): Promise<void> {
    const { reporter, log } = this.#ports;
    if (reporter === undefined) return;
    const due = [...(await this.#pastTallies())];
    for (let from = 0; from < due.length; from += atOnceMax)
      await Promise.all(
        due
          .slice(from, from + atOnceMax)
          .map(([name, found]) =>
            this.#sendOne(name, found, reporter).catch((error: unknown) =>
              log.warn("mta.tls-report-failed", { name, error }),
            ),
          ),
      );
  }

  /** By day and domain. */
  async #pastTallies(): Promise<Map<string, TlsTally[]>> {
    const { tallies, now } = this.#ports;
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

  async #sendOne(name: string, found: readonly TlsTally[], reporter: Reporter): Promise<void> {
    const [first] = found;
    if (first === undefined) return;
    const tally = mergeTallies(first.day, first.domain, found);
    const destinations = (await destinationsOf(tally.domain, this.#ports.txt)) ?? [];
    if (destinations.length === 0) return;
    const claimed = await this.#claim(name);
    if (claimed === undefined) return;
    if (!(await this.#handOver(tally, destinations, reporter))) return;
    this.lastSentAtMs = this.#ports.now();
    await this.#ports.claims.put(name, { ...claimed, isSent: true });
  }

  /** `undefined` when this process is not to send the report now. */
  async #claim(name: string): Promise<TlsReportClaim | undefined> {
    const { claims, now } = this.#ports;
    const fresh: TlsReportClaim = { at: now(), isSent: false, tries: 1 };
    if (await claims.create(name, fresh)) return fresh;
    const old = await claims.get(name);
    if (old === undefined || old.isSent || old.tries >= triesMax || now() < old.at + claimMs)
      return undefined;
    const again = { at: now(), isSent: false, tries: old.tries + 1 };
    await claims.put(name, again);
    return again;
  }

  /** RFC 8460 §3: one of the destinations is enough. */
  async #handOver(
    tally: TlsTally,
    destinations: readonly Destination[],
    reporter: Reporter,
  ): Promise<boolean> {
    const { post, mail, log } = this.#ports;
    const packed = gzipSync(JSON.stringify(reportJson(tally, reporter)));
    for (const destination of destinations) {
      const [to, problem] =
        destination.kind === "https"
          ? [destination.url.host, await post(destination.url, packed)]
          : [destination.address, await mail(tally, reporter, destination.address, packed)];
      const about = { domain: tally.domain, day: tally.day, to };
      if (problem === undefined) {
        log.info("mta.tls-report-sent", about);
        return true;
      }
      log.warn("mta.tls-report-failed", { ...about, why: problem });
    }
    return false;
  }
}
