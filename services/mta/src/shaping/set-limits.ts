import { Failure, type Measure, phrase } from "@tyto/contracts";
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

function saidOf({ by = "somebody", untilMs, why }: SetLimitMeasure): string {
  const said = { by, time: hourOf(untilMs), why };
  return why === "" ? phrase("limit.set", said) : phrase("limit.set-because", said);
}

/** As operators read it. */
export function wordsOfLimit(measure: SetLimitMeasure): string {
  const { rate, connectionsMax } = measure;
  const connections =
    connectionsMax === undefined
      ? undefined
      : phrase(connectionsMax === 1 ? "limit.connection" : "limit.connections", { count: connectionsMax });
  const most = [rate, connections].filter((part) => part !== undefined).join(" and ");
  return `${phrase("limit.most", { most })}, ${saidOf(measure)}`;
}

/** Profiles with what operators set for now. */
export const withSetLimits =
  (profiles: Profiles, setLimitAt: (site: string) => SetLimit | undefined): Profiles =>
  (site, provider) => {
    const profile = profiles(site, provider);
    const set = setLimitAt(site);
    return set === undefined ? profile : { ...limited(profile, set.limit), set };
  };

/** Throws Failure `request.invalid` for more than the profile ever gives a site: a slip of the pen would cost an address its name. */
export function mustBeWithin(
  { rate: usual, connectionsMax: usualConnections }: Profile,
  site: string,
  { rate, connectionsMax }: Pick<Measure, "rate" | "connectionsMax">,
): void {
  const ceiling = usual?.ceilingPerMin ?? Number.POSITIVE_INFINITY;
  if (rate !== undefined && parseRate(rate).ratePerMin > ceiling)
    throw tooMuch(
      `${site} is sent ${ceiling} messages a minute from one address at most, and ${rate} is more`,
    );
  if (connectionsMax !== undefined && connectionsMax > usualConnections)
    throw tooMuch(
      `${site} is given ${usualConnections} connections from one address at most, and ${connectionsMax} is more`,
    );
}

const tooMuch = (problem: string) =>
  new Failure("request.invalid", problem, {
    hint: `${problem}. Nothing was changed; who means it says so (above_ceiling, --above-ceiling)`,
  });
