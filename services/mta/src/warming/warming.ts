import type { EgressState, Traffic, WarmingRecord } from "@tyto/contracts";
import type { PlannedEgress } from "../egress/plan.ts";
import type { Egress } from "../egress.ts";
import type { Report } from "../feedback.ts";
import type { Leave, Observation } from "../observation.ts";
import { Allowance } from "./allowance.ts";
import { take } from "./course.ts";
import { Findings, kindOf, learnAll } from "./findings.ts";
import { dateOf } from "./schedule.ts";
import { createSenders } from "./senders.ts";
import { standingOf } from "./standing.ts";
import { Track, type Update } from "./track.ts";

export type WarmingPorts = {
  egresses: readonly Pick<PlannedEgress, "id" | "since" | "localIp">[];
  update: Update;
};

type Address = { track: Track; allowance: Allowance; findings: Findings };
type Site = Pick<Observation["site"], "provider">;

/** Providers that are counted apart from each other; there are about forty with a name. */
const providersMax = 100;

/**
 * Keeps addresses that are not known yet under the caps of their days. Counts are one record per address that all
 * processes change in turns, so that they hold in sum and survive any of them.
 */
export function createWarming({ egresses, update }: WarmingPorts) {
  const isYoung = ({ since }: { since: PlannedEgress["since"] }) => since !== "warm";
  const addresses = new Map(egresses.filter(isYoung).map((egress) => [egress.id, addressOf(egress, update)]));
  const senderOf = createSenders(egresses);
  const coldOf = (id: string): Address | undefined => {
    const address = addresses.get(id);
    return address === undefined || address.track.isWarm ? undefined : address;
  };

  return {
    /**
     * Takes one message out of what the address may send today, or tells from when on it is worth asking again. Throws what
     * `update` throws.
     */
    async leave(egress: Pick<Egress, "id">, site: Site, traffic: Traffic, nowMs: number): Promise<Leave> {
      const cold = coldOf(egress.id);
      if (cold === undefined) return go;
      return cold.allowance.leave(nameOf(cold.track, site.provider), traffic, nowMs);
    },

    /** A message that had leave was not sent after all. */
    giveBack(egress: Pick<Egress, "id">, site: Site, traffic: Traffic, nowMs: number): void {
      const cold = coldOf(egress.id);
      cold?.allowance.giveBack(nameOf(cold.track, site.provider), traffic, nowMs);
    },

    /** Learns from the outcome of an attempt. */
    see(observation: Observation): void {
      const cold = coldOf(observation.egress.id);
      if (cold !== undefined) learnFrom(cold, observation);
    },

    /**
     * Learns from what came back of mail that a server had taken. Resolves when that is stored, which the next `save` does: true, or
     * false when it has to be told again. The same report counts once, however often and to whichever process it is told.
     */
    async hear(report: Report): Promise<boolean> {
      const sender = senderOf(report);
      const cold = sender === undefined ? undefined : coldOf(sender);
      if (cold === undefined) return true;
      const { id, kind, provider } = report;
      return cold.findings.report({ id, kind, provider: nameOf(cold.track, provider) });
    },

    /**
     * Stores what was seen since the last time, gives back what is not used, and begins the new day. To be called every few
     * seconds, and with `isLast` before the end.
     */
    async save(nowMs: number, isLast = false): Promise<void> {
      for (const address of addresses.values()) {
        const { track, allowance, findings } = address;
        const isNewDay = track.record !== undefined && track.record.date < dateOf(nowMs);
        if (!findings.isEmpty || isNewDay || allowance.hasUnused(nowMs, isLast))
          await track.inTurn(() => store(address, nowMs, isLast));
      }
    },

    /** What the store holds of an address, from its watch. */
    restore(egress: string, record: WarmingRecord | undefined, revision: number): void {
      addresses.get(egress)?.track.restore(record, revision);
    },

    /** Where an address stands, for people and programs; `undefined` for one that is not warmed here. */
    status(egress: string, nowMs: number): EgressState["warming"] {
      const address = addresses.get(egress);
      return address === undefined ? undefined : standingOf(address.track.today(nowMs));
    },
  };
}

export type Warming = ReturnType<typeof createWarming>;

function addressOf(egress: Pick<PlannedEgress, "id" | "since">, update: Update): Address {
  const track = new Track(egress, update);
  return { track, allowance: new Allowance(track), findings: new Findings() };
}

const go: Leave = { kind: "go" };

function learnFrom({ track, allowance, findings }: Address, observation: Observation): void {
  const { atMs, entry, site, outcome, reason, hard, reply } = observation;
  const provider = nameOf(track, site.provider);
  const kind = outcome === "delivered" ? outcome : kindOf(reason, hard);
  // A greylist, or a server in trouble, has not taken the message; when it does, it takes its place in that day.
  if (outcome === "deferred" && kind === undefined)
    allowance.giveBack(provider, entry.traffic ?? "transactional", atMs);
  if (kind !== undefined && reply !== undefined) findings.add(provider, kind);
}

async function store({ track, allowance, findings }: Address, nowMs: number, isLast: boolean): Promise<void> {
  const found = findings.takeAll();
  const unused = allowance.takeUnused(nowMs, isLast);
  let isStored = false;
  try {
    isStored = await track.change(nowMs, (record) =>
      unused.reduce(
        (sum, { traffic, provider, count }) => take(sum, provider, traffic, -count),
        learnAll(record, found, nowMs),
      ),
    );
  } finally {
    if (isStored) for (const tell of found.told) tell(true);
    else findings.putBack(found);
  }
}

const nameOf = ({ record }: Track, provider = "other") =>
  record !== undefined &&
  record.providers[provider] === undefined &&
  Object.keys(record.providers).length >= providersMax
    ? "other"
    : provider;
