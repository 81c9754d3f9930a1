import type { QueueScan, Scanned } from "@tyto/bus";
import {
  type ControlAnswer,
  type ControlRequest,
  type QueueEntry,
  queueSitesMax,
  type Traffic,
  traffics,
  type Waiting,
} from "@tyto/contracts";
import { BoundedMap } from "@tyto/service";
import { isSite, isTold, matches, type SiteOfDomain, siteOfEntry } from "./matching.ts";

type Request = ControlRequest<"mta.queue">;
type Counted = ControlAnswer<"mta.queue">;

export type CountPorts = {
  scan: QueueScan;
  siteOf: SiteOfDomain;
  now: () => number;
};

/** Rows that are told apart; what is beyond is counted together. */
const keysMax = 50_000;
/** Sites that are told apart in each row, and in all rows together; what waits for others is in its row all the same. */
const sitesOfRowMax = 200;
const sitesOfRowsMax = 200_000;
/** A count is told again for this many times as long as it took, and at least so long. */
const restFactor = 5;
const restMsMin = 1_000;
const keptMax = 16;

/**
 * Counts what waits in the queue, by headers where they tell enough. Memory grows with the number of sites, never with
 * the queue. Whoever asks the same again soon gets the same count.
 */
export function createCount(ports: CountPorts): (request: Request) => Promise<Counted> {
  const kept = new BoundedMap<string, { answer: Promise<Counted>; untilMs: number }>(keptMax);
  return (request) => {
    const key = JSON.stringify(request);
    const nowMs = ports.now();
    const before = kept.get(key);
    if (before !== undefined && before.untilMs > nowMs) return before.answer;
    const answer = count(ports, request);
    const entry = { answer, untilMs: Number.POSITIVE_INFINITY };
    kept.set(key, entry);
    answer.then(
      () => {
        entry.untilMs = ports.now() + Math.max(restMsMin, restFactor * (ports.now() - nowMs));
      },
      () => kept.delete(key),
    );
    return answer;
  };
}

type Tally = { entries: number; ready: number; later: number; oldestAtMs: number; nextAtMs: number };
const newTally = (): Tally => ({
  ...{ entries: 0, ready: 0, later: 0 },
  ...{ oldestAtMs: Number.POSITIVE_INFINITY, nextAtMs: Number.POSITIVE_INFINITY },
});

async function count(ports: CountPorts, { by, filter, rowsMax }: Request): Promise<Counted> {
  const countedAtMs = ports.now();
  const total = newTally();
  const overflow = newTally();
  const rows = new Map<string, Tally>();
  const classes = new Map<Traffic, Tally>(traffics.map((traffic) => [traffic, newTally()]));
  const rowOf = (key: string): Tally => {
    const known = rows.get(key);
    if (known !== undefined) return known;
    if (rows.size >= keysMax) return overflow;
    const fresh = newTally();
    rows.set(key, fresh);
    return fresh;
  };
  const sites = new RowSites();
  const take = (key: string, site: string, traffic: Traffic | undefined, part: Part) => {
    if (part.entries === 0) return;
    add(total, part);
    add(rowOf(key), part);
    if (by !== "site") sites.add(key, site, part.entries);
    const ofClass = traffic && classes.get(traffic);
    if (ofClass !== undefined) add(ofClass, part);
  };

  const withEntries = !isTold(filter);
  for await (const scanned of ports.scan({ withEntries })) {
    const { summary, entries = [], dueAtMs } = scanned;
    if (summary === undefined) {
      for (const entry of entries) {
        if (!matches(entry, filter, ports.siteOf)) continue;
        const site = siteOfEntry(entry, ports.siteOf);
        take(keyOf(by, entry, site), site, entry.traffic ?? "transactional", {
          ...{ entries: 1, oldestAtMs: entry.acceptedAt },
          dueAtMs,
        });
      }
      continue;
    }
    const { place, shares, oldestAtMs = scanned.storedAtMs } = summary;
    const site = ports.siteOf(place)?.site ?? place;
    if (filter.site !== undefined && !isSite(filter.site, site)) continue;
    for (const { organization = "*", campaign = "", entries: of } of shares) {
      if (filter.organizationId !== undefined && filter.organizationId !== organization) continue;
      if (filter.campaign !== undefined && filter.campaign !== campaign) continue;
      const key = { site, organization, campaign: organization === "*" ? "*" : campaign }[by];
      take(key, site, trafficOf(scanned), { entries: of, oldestAtMs, dueAtMs });
    }
  }

  const sorted = [...rows].sort(([, one], [, other]) => other.entries - one.entries);
  const beyond = sorted.slice(rowsMax);
  for (const [, tally] of beyond) merge(overflow, tally);
  return {
    countedAtMs,
    total: toWaiting(total),
    classes: [...classes].map(([traffic, tally]) => ({ traffic, ...toWaiting(tally) })),
    rows: sorted.slice(0, rowsMax).map(([key, tally]) => {
      const provider = by === "site" ? ports.siteOf(key)?.provider : undefined;
      return {
        key,
        ...(provider === undefined ? {} : { provider }),
        ...toWaiting(tally),
        ...(by === "site" ? {} : { sites: sites.most(key) }),
      };
    }),
    ...(overflow.entries === 0 ? {} : { rest: { rows: beyond.length, ...toWaiting(overflow) } }),
  };
}

type Part = { entries: number; oldestAtMs: number; dueAtMs: number | undefined };

function add(tally: Tally, { entries, oldestAtMs, dueAtMs }: Part): void {
  tally.entries += entries;
  if (dueAtMs === undefined) tally.ready += entries;
  else tally.later += entries;
  tally.oldestAtMs = Math.min(tally.oldestAtMs, oldestAtMs);
  tally.nextAtMs = Math.min(tally.nextAtMs, dueAtMs ?? Number.POSITIVE_INFINITY);
}

function merge(into: Tally, tally: Tally): void {
  into.entries += tally.entries;
  into.ready += tally.ready;
  into.later += tally.later;
  into.oldestAtMs = Math.min(into.oldestAtMs, tally.oldestAtMs);
  into.nextAtMs = Math.min(into.nextAtMs, tally.nextAtMs);
}

const toWaiting = ({ entries, ready, later, oldestAtMs, nextAtMs }: Tally): Waiting => ({
  ...{ entries, ready, later },
  ...(Number.isFinite(oldestAtMs) ? { oldestAtMs } : {}),
  ...(Number.isFinite(nextAtMs) ? { nextAtMs } : {}),
});

/** For which sites the mail of each organisation or campaign waits. */
class RowSites {
  readonly #rows = new Map<string, Map<string, number>>();
  #count = 0;

  add(key: string, site: string, entries: number): void {
    const row = this.#rows.get(key) ?? new Map<string, number>();
    const known = row.get(site);
    if (known === undefined && (row.size >= sitesOfRowMax || this.#count >= sitesOfRowsMax)) return;
    if (known === undefined) this.#count++;
    row.set(site, (known ?? 0) + entries);
    this.#rows.set(key, row);
  }

  /** Those with the most first. */
  most(key: string): { site: string; entries: number }[] {
    return Array.from(this.#rows.get(key) ?? [], ([site, entries]) => ({ site, entries }))
      .sort((one, other) => other.entries - one.entries)
      .slice(0, queueSitesMax);
  }
}

function keyOf(by: Request["by"], entry: QueueEntry, site: string): string {
  if (by === "site") return site;
  return by === "organization" ? entry.organizationId : (entry.campaign ?? "");
}

/** The class stands in the subject of what is ready, or will be: `queue.send.<class>.…`. */
function trafficOf({ subject, targetSubject = subject }: Scanned): Traffic | undefined {
  const token = targetSubject.split(".")[2];
  return traffics.find((traffic) => traffic === token);
}
