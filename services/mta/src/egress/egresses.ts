import { phrase, type QueueEntry, type Traffic, traffics } from "@tyto/contracts";
import { BoundedMap } from "@tyto/service";
import type { Egress } from "../egress.ts";
import type { Leave } from "../observation.ts";
import type { Site } from "../site.ts";
import { preferred } from "./choice.ts";
import { type EgressPlan, type EgressPool, poolOf } from "./plan.ts";

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
  /** The pool that a rule sends an egress's mail to this site by; rules.poolFor. */
  poolFor?(egress: string, site: string): string | undefined;
};
/** That an address of ours may not send this traffic to a site, when it was last asked. */
export type Refused = { egress: string; traffic: Traffic; why: string };
type Refusal = { kind: "refusal"; untilMs: number; reasons: string[] };
type Found = Extract<Choice, { kind: "egress" }> | Refusal;

/** A quarantine ends by a check; nobody knows when. */
const quarantineWaitMs = 300_000;
/** Messages to one site in a minute from which on its mail is spread over the members by recipient. */
const spreadFrom = 100;
const spreadWindowMs = 60_000;
/** Sites whose mail of this minute is counted; beyond it a site counts as quiet. */
const sitesMax = 20_000;
/** Addresses and sites whose mail could not be sent by the pool that a rule names, with the reason. */
const staysMax = 5_000;
/** Addresses, sites and traffics that were refused lately, with the reason. */
const refusedMax = 10_000;
/** Mail that waits asks again within this time: what was not asked for longer is not known. */
const refusedMsMax = 900_000;

/**
 * Chooses the egress of each attempt. All mail to a quiet site prefers one member, so that connections are used again
 * and a greylist sees the same address twice; mail to a provider, or to a site with much mail, is spread by recipient,
 * which keeps the attempts of one message at one member too. While a rule sends a member's mail to the site by another
 * pool, that pool's members go before it; without one that may send, the mail stays.
 */
export class Egresses {
  /** The pools and addresses as they were planned. */
  readonly plan: EgressPlan;
  readonly #ports: EgressPorts;
  readonly #byId: Map<string, Egress>;
  readonly #recent = { sinceMs: 0, counts: new Map<string, number>() };
  readonly #stays = new BoundedMap<string, { atMs: number; why: string }>(staysMax);

  readonly #refused = new BoundedMap<string, Refusing>(refusedMax);

  constructor(ports: EgressPorts) {
    this.plan = ports.plan;
    this.#ports = ports;
    this.#byId = new Map(ports.plan.egresses.map(({ since: _, ...egress }) => [egress.id, egress]));
  }

  /** `poolName`: the one that an operator bound the message to, which no rule changes. */
  async choose(
    entry: Asking,
    site: Pick<Site, "id" | "provider">,
    nowMs: number,
    poolName?: string,
  ): Promise<Choice> {
    const bound = this.#pool(poolName);
    const pool = bound ?? poolOf(this.plan, entry);
    const asked = { site, traffic: entry.traffic ?? "transactional", nowMs };
    const key = this.#keyOf(entry, site, nowMs);
    const refused: Refusal = { kind: "refusal", untilMs: Number.POSITIVE_INFINITY, reasons: [] };
    for (const id of preferred(pool, key)) {
      const other = bound === undefined ? this.#ports.poolFor?.(id, site.id) : undefined;
      const moved = other === undefined ? undefined : await this.#elsewhere(other, id, key, asked);
      const found = moved ?? (await this.#ask(id, asked));
      if (found.kind === "egress") return found;
      refused.untilMs = Math.min(refused.untilMs, found.untilMs);
      refused.reasons.push(...found.reasons);
    }
    const why = [phrase("flow.none-of-pool", { pool: pool.name }), ...refused.reasons].join("; ");
    return { kind: pool.overflows ? "overflow" : "wait", untilMs: refused.untilMs, why };
  }

  /** Why mail of an egress to a site did not leave by the pool that a rule has named since `sinceMs`, when it last did not. */
  staysBecause(egress: string, site: string, sinceMs: number): string | undefined {
    const stay = this.#stays.get(`${egress} ${site}`);
    return stay !== undefined && stay.atMs >= sinceMs ? stay.why : undefined;
  }

  /** Which addresses may not send to a site now, by what they answered when mail to it last asked. */
  refusedAt(site: string, nowMs: number): Refused[] {
    return this.plan.egresses.flatMap(({ id: egress }) =>
      traffics.flatMap((traffic) => {
        const refused = this.#refused.get(refusedKey(egress, site, traffic));
        if (refused === undefined || refused.untilMs <= nowMs) return [];
        if (refused.isQuarantine && this.#ports.quarantineOf(egress) === undefined) return [];
        return { egress, traffic, why: refused.why };
      }),
    );
  }

  /** Sites that `refusedAt` may tell something of. */
  refusedSites(nowMs: number): Set<string> {
    const sites = new Set<string>();
    for (const { site, untilMs } of this.#refused.values()) if (untilMs > nowMs) sites.add(site);
    return sites;
  }

  /** A member of the pool that a rule names, unless that one's mail to the site shall go elsewhere, too. */
  async #elsewhere(poolName: string, from: string, key: string, asked: Asked): Promise<Found | undefined> {
    const pool = this.#pool(poolName);
    const reasons = pool === undefined ? [phrase("flow.no-pool", { pool: poolName })] : [];
    for (const id of pool === undefined ? [] : preferred(pool, key)) {
      const other = this.#ports.poolFor?.(id, asked.site.id);
      const found =
        other === undefined
          ? await this.#ask(id, asked)
          : refusal(phrase("flow.sends-by", { egress: id, pool: other }));
      if (found.kind === "egress") {
        this.#stays.delete(`${from} ${asked.site.id}`);
        return found;
      }
      reasons.push(...found.reasons);
    }
    this.#stays.set(`${from} ${asked.site.id}`, { atMs: asked.nowMs, why: reasons.join("; ") });
    return undefined;
  }

  async #ask(id: string, asked: Asked): Promise<Found> {
    const { site, traffic, nowMs } = asked;
    const egress = this.#byId.get(id);
    if (egress === undefined) return refusal(phrase("flow.no-egress", { egress: id }));
    const quarantine = this.#ports.quarantineOf(id);
    if (quarantine !== undefined)
      return this.#refuse(
        id,
        asked,
        refusal(phrase("flow.out-of-pool", { egress: id, why: quarantine }), nowMs + quarantineWaitMs),
        true,
      );
    const answer = await this.#ports.leave(egress, site, traffic, nowMs);
    if (answer.kind === "wait")
      return this.#refuse(
        id,
        asked,
        refusal(phrase("of-egress", { egress: id, why: answer.why }), answer.untilMs),
      );
    if (this.#refused.size > 0) this.#refused.delete(refusedKey(id, site.id, traffic));
    return {
      kind: "egress",
      egress,
      giveBack: () => this.#ports.giveBack(egress, site, traffic, nowMs),
    };
  }

  #refuse(id: string, { site, traffic, nowMs }: Asked, refused: Refusal, isQuarantine = false): Refusal {
    this.#refused.set(refusedKey(id, site.id, traffic), {
      site: site.id,
      untilMs: Math.min(refused.untilMs, nowMs + refusedMsMax),
      why: refused.reasons.join("; "),
      isQuarantine,
    });
    return refused;
  }

  #pool(wanted: string | undefined): EgressPool | undefined {
    return wanted === undefined ? undefined : this.plan.pools.find(({ name }) => name === wanted);
  }

  /** What members are preferred by: the site, or the recipient, too, where mail is spread. */
  #keyOf({ recipient }: Asking, site: Pick<Site, "id" | "provider">, nowMs: number): string {
    const isSpread =
      this.plan.egresses.length > 1 && (site.provider !== undefined || this.#isBusy(site.id, nowMs));
    return isSpread ? `${site.id} ${recipient}` : site.id;
  }

  #isBusy(site: string, nowMs: number): boolean {
    const { counts } = this.#recent;
    if (nowMs - this.#recent.sinceMs >= spreadWindowMs) {
      this.#recent.sinceMs = nowMs;
      counts.clear();
    }
    const count = (counts.get(site) ?? 0) + 1;
    if (count > 1 || counts.size < sitesMax) counts.set(site, count);
    return count > spreadFrom;
  }
}

type Refusing = { site: string; untilMs: number; why: string; isQuarantine: boolean };
type Asked = { site: Pick<Site, "id" | "provider">; traffic: Traffic; nowMs: number };

export const createEgresses = (ports: EgressPorts): Egresses => new Egresses(ports);

const refusedKey = (egress: string, site: string, traffic: Traffic) => `${egress} ${traffic} ${site}`;

const refusal = (reason: string, untilMs = Number.POSITIVE_INFINITY): Refusal => ({
  kind: "refusal",
  untilMs,
  reasons: [reason],
});
