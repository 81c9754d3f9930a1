import type { QueueEntry } from "@tyto/contracts";
import type { Egress } from "../egress.ts";
import type { Leave } from "../observation.ts";
import type { Site } from "../site.ts";
import { preferred } from "./choice.ts";
import { type EgressPlan, poolOf } from "./plan.ts";

/** What an entry asks a pool with. */
export type Asking = Pick<QueueEntry, "recipient" | "organizationId" | "domain" | "traffic">;

/** Through which address a message goes now. `why` is a sentence for people. */
export type Choice =
  | {
      kind: "egress";
      egress: Egress;
      /** To be called when nothing was sent after all, so that it does not count for the day. */
      giveBack(): void;
    }
  | { kind: "wait"; untilMs: number; why: string }
  /** The same, but the pool lets another provider send what would wait, where there is one. */
  | { kind: "overflow"; untilMs: number; why: string };

export type EgressPorts = {
  plan: EgressPlan;
  /** Takes one message from what the egress may send today. */
  leave(egress: Egress, site: Pick<Site, "provider">, traffic: Traffic, nowMs: number): Promise<Leave>;
  /** Gives back what was taken and not sent. */
  giveBack(egress: Egress, site: Pick<Site, "provider">, traffic: Traffic, nowMs: number): void;
  /** Why an egress must not be used, while it must not. */
  quarantineOf(id: string): string | undefined;
};
type Traffic = "transactional" | "bulk";

/** A quarantine ends by a check; nobody knows when. */
const quarantineWaitMs = 300_000;
/** Messages to one site in a minute from which on its mail is spread over the members by recipient. */
const spreadFrom = 100;
const spreadWindowMs = 60_000;
/** Sites whose mail of this minute is counted; beyond it a site counts as quiet. */
const sitesMax = 20_000;

/**
 * Chooses the egress of each attempt. All mail to a quiet site prefers one member, so that connections are used again
 * and a greylist sees the same address twice; mail to a provider, or to a site with much mail, is spread by recipient,
 * which keeps the attempts of one message at one member too.
 */
export function createEgresses({ plan, leave, giveBack, quarantineOf }: EgressPorts) {
  const byId = new Map<string, Egress>(plan.egresses.map(({ since: _, ...egress }) => [egress.id, egress]));
  const recent = { sinceMs: 0, counts: new Map<string, number>() };

  function isBusy(site: string, nowMs: number): boolean {
    if (nowMs - recent.sinceMs >= spreadWindowMs) {
      recent.sinceMs = nowMs;
      recent.counts.clear();
    }
    const count = (recent.counts.get(site) ?? 0) + 1;
    if (count > 1 || recent.counts.size < sitesMax) recent.counts.set(site, count);
    return count > spreadFrom;
  }

  return {
    /** The pools and addresses as they were planned. */
    plan,

    async choose(
      entry: Asking,
      site: Pick<Site, "id" | "provider">,
      nowMs: number,
      poolName?: string,
    ): Promise<Choice> {
      const pool = plan.pools.find(({ name }) => name === poolName) ?? poolOf(plan, entry);
      const traffic = entry.traffic ?? "transactional";
      const isSpread = pool.members.length > 1 && (site.provider !== undefined || isBusy(site.id, nowMs));
      const key = isSpread ? `${site.id} ${entry.recipient}` : site.id;
      const reasons: string[] = [];
      let untilMs = Number.POSITIVE_INFINITY;
      for (const id of preferred(pool, key)) {
        const egress = byId.get(id);
        if (egress === undefined) continue;
        const quarantine = quarantineOf(id);
        if (quarantine !== undefined) {
          reasons.push(`${id} is out of its pool: ${quarantine}`);
          untilMs = Math.min(untilMs, nowMs + quarantineWaitMs);
          continue;
        }
        const answer = await leave(egress, site, traffic, nowMs);
        if (answer.kind === "go")
          return { kind: "egress", egress, giveBack: () => giveBack(egress, site, traffic, nowMs) };
        reasons.push(`${id}: ${answer.why}`);
        untilMs = Math.min(untilMs, answer.untilMs);
      }
      const why = `no address of the pool ${pool.name} may send this now; ${reasons.join("; ")}`;
      return { kind: pool.overflows ? "overflow" : "wait", untilMs, why };
    },
  };
}

export type Egresses = ReturnType<typeof createEgresses>;
