import { phrase, shortened, type WaitReason } from "@tyto/contracts";
import { BoundedMap } from "@tyto/service";
import type { Observation, Wayless } from "../observation.ts";
import { saidBy } from "../shaping/row.ts";
import { domainOf } from "./activity.ts";

/**
 * Why mail waits where nothing stops it as a whole: what the last of it heard that could not go. By the site that it waits for,
 * or by its domain where no site was found.
 */
export type Waits = {
  /** A server put it off, or there was no session to one. */
  see(observation: Observation): void;
  /** There was no server to ask: DNS does not tell. */
  seeNowhere(observation: Wayless): void;
  /** It was not its turn: a rate, a warming's share, others before it. */
  seeAway(site: string, why: string): void;
  of(place: string): WaitReason | undefined;
  /** The newest first. */
  list(max: number): WaitReason[];
};

/** The place that was quiet for longest goes first. */
const placesMax = 5_000;
const whyCharsMax = 500;

export function createWaits(now: () => number): Waits {
  const places = new BoundedMap<string, Omit<WaitReason, "place">>(placesMax);
  const keep = (place: string, why: string, atMs: number) =>
    void places.set(place, { why: shortened(why, whyCharsMax), atMs });
  return {
    see(observation) {
      if (observation.outcome !== "deferred") return;
      keep(observation.site.id, phrase("wait.put-off", { why: wordsOf(observation) }), observation.atMs);
    },
    seeNowhere(observation) {
      if (observation.outcome !== "deferred" || observation.reason === undefined) return;
      const why = phrase("wait.no-way", { why: wordsOf(observation) });
      keep(domainOf(observation.entry.recipient), why, observation.atMs);
    },
    seeAway: (site, why) => keep(site, phrase("wait.turn", { why }), now()),
    of(place) {
      const known = places.get(place);
      return known === undefined ? undefined : { place, ...known };
    },
    list: (max) =>
      Array.from(places, ([place, known]) => ({ place, ...known }))
        .toSorted((one, other) => other.atMs - one.atMs)
        .slice(0, max),
  };
}

/** The server's reply, or else our own words. */
const wordsOf = (observation: Wayless): string =>
  observation.reply === undefined && observation.explanation !== undefined
    ? observation.explanation
    : saidBy(observation);
