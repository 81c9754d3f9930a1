import { isDomain } from "@tyto/contracts";
import type { Routes } from "../routes.ts";
import type { SetLimit } from "./set-limits.ts";

/** What a site takes from one source address, as a start and as bounds; what it really takes is learned. */
export type Profile = {
  /** Messages per minute. Absent: no rate until the site shows one. */
  rate?: { floorPerMin: number; startPerMin: number; ceilingPerMin: number };
  /** The lowest rate that is learned where `rate` is absent. */
  floorPerMin: number;
  /** What a quiet site saves up, as seconds of its rate: messages that may go at once. */
  burstS: number;
  /** Factors of the rate: after trouble, and after twenty successes. */
  backoff: number;
  recovery: number;
  connectionsMax: number;
  /** Messages over one connection. */
  messagesMax: number;
  /** The operator's own server: never slowed, only suspended when it is not there. */
  isOwn: boolean;
  /** What an operator set for now is in these numbers. */
  set?: SetLimit;
};

/** What an operator wrote for a provider or a site: these numbers stand in place of ours. */
export type SiteLimit = {
  ratePerMin?: number;
  burstS?: number;
  connectionsMax?: number;
  messagesMax?: number;
};
/** By provider (`google`) or site id (`mx.example.com`). */
export type SiteLimits = ReadonlyMap<string, SiteLimit>;

const connectionMessagesMax = 100;
const usual = { floorPerMin: 2, burstS: 10, backoff: 0.5, recovery: 1.1, messagesMax: connectionMessagesMax };

/** What large providers take from an address in good standing. A warm address grows to the ceiling within minutes. */
const providers: Readonly<Record<string, Profile>> = {
  google: {
    ...usual,
    rate: { floorPerMin: 5, startPerMin: 100, ceilingPerMin: 300 },
    floorPerMin: 5,
    connectionsMax: 5,
    messagesMax: 50,
    isOwn: false,
  },
  microsoft: {
    ...usual,
    rate: { floorPerMin: 5, startPerMin: 80, ceilingPerMin: 200 },
    floorPerMin: 5,
    connectionsMax: 3,
    isOwn: false,
  },
  yahoo: {
    ...usual,
    rate: { floorPerMin: 3, startPerMin: 50, ceilingPerMin: 150 },
    floorPerMin: 3,
    backoff: 0.4,
    recovery: 1.05,
    connectionsMax: 3,
    isOwn: false,
  },
  apple: {
    ...usual,
    rate: { floorPerMin: 5, startPerMin: 60, ceilingPerMin: 150 },
    floorPerMin: 5,
    connectionsMax: 3,
    isOwn: false,
  },
};

export type Profiles = (siteId: string, provider: string | undefined) => Profile;

/**
 * The profile of a site: the operator's own relay, a large provider, or a site of unknown nature; each with what the operator
 * wrote in place of ours. A limit of the site goes before one of its provider.
 */
export function createProfiles(options: {
  /** Connections to a site that has no profile. */
  connectionsMax: number;
  limits?: SiteLimits;
  routes?: Routes;
}): Profiles {
  const { connectionsMax, limits = new Map(), routes = new Map() } = options;
  const own = new Set([...routes.values()].map(({ host, port }) => (port === 25 ? host : `${host}=${port}`)));
  const unknown: Profile = { ...usual, connectionsMax, isOwn: false };
  const ours: Profile = { ...unknown, isOwn: true };
  return (siteId, provider) => {
    const profile = own.has(siteId)
      ? ours
      : ((provider === undefined ? undefined : providers[provider]) ?? unknown);
    const limit = limits.get(siteId) ?? (provider === undefined ? undefined : limits.get(provider));
    return limit === undefined ? profile : limited(profile, limit);
  };
}

/** A rate of the operator is start and ceiling: it is kept to, and learned below it. */
export function limited(
  profile: Profile,
  { ratePerMin, burstS, connectionsMax, messagesMax }: SiteLimit,
): Profile {
  const floorPerMin = Math.min(profile.floorPerMin, ratePerMin ?? profile.floorPerMin);
  return {
    ...profile,
    floorPerMin,
    ...(ratePerMin === undefined
      ? {}
      : { rate: { floorPerMin, startPerMin: ratePerMin, ceilingPerMin: ratePerMin } }),
    ...(burstS === undefined ? {} : { burstS }),
    ...(connectionsMax === undefined ? {} : { connectionsMax }),
    ...(messagesMax === undefined ? {} : { messagesMax }),
  };
}

const perMin = { s: 60, min: 1, h: 1 / 60 } as const;
const limitedSitesMax = 1_000;

/**
 * Reads `google:rate=500/min,connections=10;mx.example.com:messages=20`. Rates are per s, min or h; one
 * per s is kept to in each second. Throws TypeError that
 * names the part which is wrong and shows how it should be.
 */
export function parseSiteLimits(text: string): SiteLimits {
  const limits = new Map<string, SiteLimit>();
  for (const entry of parts(text, ";")) {
    const at = entry.search(/:(?:rate|connections|messages)=/);
    const name = entry.slice(0, at).trim().toLowerCase();
    if (at < 1 || !isSiteName(name))
      throw new TypeError(`${quoted(entry)}: must be like google:rate=500/min,connections=10,messages=50`);
    if (limits.has(name)) throw new TypeError(`${name} stands there twice`);
    if (limits.size >= limitedSitesMax) throw new TypeError(`has more than ${limitedSitesMax} sites`);
    limits.set(
      name,
      Object.assign({}, ...parts(entry.slice(at + 1), ",").map((part) => setting(name, part))),
    );
  }
  return limits;
}

function setting(name: string, part: string): SiteLimit {
  const [, key, digits, unit] = /^(rate|connections|messages)=(\d{1,7})(?:\/(s|min|h))?$/.exec(part) ?? [];
  const value = Number(digits);
  if (key === "rate" && value > 0 && unit !== undefined) return parseRate(`${digits}/${unit}`);
  if (key === "connections" && unit === undefined && value >= 1 && value <= 2_000)
    return { connectionsMax: value };
  if (key === "messages" && unit === undefined && value >= 1 && value <= 100_000)
    return { messagesMax: value };
  throw new TypeError(
    `${name}: ${quoted(part)} must be rate=<n>/s, rate=<n>/min, rate=<n>/h, connections=<1 to 2000> or messages=<1 to 100000>`,
  );
}

/** Reads `500/min`; one per second is kept to in each second. Throws TypeError for what is no rate. */
export function parseRate(text: string): { ratePerMin: number; burstS?: number } {
  const [, digits, unit] = /^(\d{1,7})\/(s|min|h)$/.exec(text) ?? [];
  if (unit !== "s" && unit !== "min" && unit !== "h") throw new TypeError(`${quoted(text)} is no rate`);
  return { ratePerMin: Number(digits) * perMin[unit], ...(unit === "s" ? { burstS: 1 } : {}) };
}

const parts = (text: string, separator: string) =>
  text
    .split(separator)
    .map((part) => part.trim())
    .filter((part) => part !== "");
const quoted = (text: string) => JSON.stringify(text.slice(0, 80));

/** A provider's name, a host, or the id of a set of hosts: `example.com=1f3a90c2`. */
const isSiteName = (name: string) =>
  /^[a-z][a-z-]{0,40}$/.test(name) ||
  isDomain(name.replace(/=[0-9a-f]{1,8}$/, "")) ||
  /^[0-9a-f.:]+(=\d{1,5})?$/.test(name);
