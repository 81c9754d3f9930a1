import { Failure, type Issue, type Measure, phrase, type SiteCeiling } from "@tyto/contracts";
import { limited, type Profile, type Profiles, parseRate, type SiteLimit } from "./profiles.ts";

/** What an operator has a site sent until a time, in place of what its profile says. */
export type SetLimit = {
  /** Another one when the operator sets others. */
  id: string;
  limit: SiteLimit;
  /** By whom, until when and why. */
  said: string;
};

export type SetLimitMeasure = Pick<Measure, "rate" | "connectionsMax" | "by" | "why" | "sinceMs" | "untilMs">;

/** An operator's limits as shaping takes them, with the words that name who set them. */
export function setLimitOf(measure: SetLimitMeasure): SetLimit {
  const { rate, connectionsMax, sinceMs } = measure;
  return {
    id: `${sinceMs} ${rate} ${connectionsMax}`,
    limit: {
      ...(rate === undefined ? {} : parseRate(rate)),
      ...(connectionsMax === undefined ? {} : { connectionsMax }),
    },
    said: saidOf(measure),
  };
}

/** Measures last a day at most, so the hour says when they end: `14:05`, in UTC. */
export const hourOf = (atMs: number): string => new Date(atMs).toISOString().slice(11, 16);

const saidOf = (measure: SetLimitMeasure): string =>
  phrase(measure.why === "" ? "limit.set" : "limit.set-because", sayingOf(measure));

const sayingOf = ({ by = "somebody", untilMs, why }: SetLimitMeasure) => ({ by, time: hourOf(untilMs), why });

/** As operators read it. */
export const wordsOfLimit = (measure: SetLimitMeasure): string =>
  phrase(measure.why === "" ? "limit.in-force" : "limit.in-force-because", {
    ...sayingOf(measure),
    most: mostOf(measure),
  });

function mostOf({ rate, connectionsMax: count }: SetLimitMeasure): string {
  if (count === undefined) return rate ?? "";
  if (rate === undefined) return phrase(count === 1 ? "limit.connection" : "limit.connections", { count });
  return phrase(count === 1 ? "limit.rate-and-connection" : "limit.rate-and-connections", { rate, count });
}

/** Profiles with what operators set for now. */
export const withSetLimits =
  (profiles: Profiles, setLimitAt: (site: string) => SetLimit | undefined): Profiles =>
  (site, provider) => {
    const profile = profiles(site, provider);
    const set = setLimitAt(site);
    return set === undefined ? profile : { ...limited(profile, set.limit), set };
  };

/** The most that a site is ever given from one address without an operator. */
export const ceilingOf = ({ rate, connectionsMax }: Profile): SiteCeiling => ({
  ...(rate === undefined ? {} : { ratePerMinute: rate.ceilingPerMin }),
  connections: connectionsMax,
});

/**
 * Throws Failure `request.invalid` for more than the ceiling: a slip of the pen would cost an address its name. Its issues are at
 * `rate` and `connections`, as whoever asks calls them.
 */
export function mustBeWithin(
  { ratePerMinute = Number.POSITIVE_INFINITY, connections }: SiteCeiling,
  site: string,
  { rate, connectionsMax }: Pick<Measure, "rate" | "connectionsMax">,
): void {
  const issues: Issue[] = [];
  if (rate !== undefined && parseRate(rate).ratePerMin > ratePerMinute)
    issues.push({ path: "rate", problem: phrase("ceiling.rate", { site, max: ratePerMinute, rate }) });
  if (connectionsMax !== undefined && connectionsMax > connections) {
    const values = { site, max: connections, connections: connectionsMax };
    issues.push({ path: "connections", problem: phrase("ceiling.connections", values) });
  }
  if (issues.length > 0)
    throw new Failure("request.invalid", issues.map(({ problem }) => problem).join("; "), {
      issues,
      hint: "Nothing was changed. Who means it says so: above_ceiling, --above-ceiling",
    });
}
