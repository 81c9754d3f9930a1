import {
  type FlowState,
  flowStates,
  phrase,
  type SiteLimit,
  shortened,
  type Traffic,
  traffics,
} from "@tyto/contracts";
import type { Refused } from "../egress/egresses.ts";

/** How much of its mail a site gets now, until when, and why. */
export type Flow = { state: FlowState; untilMs?: number; why?: string };

/** The addresses that share the mail of a pool. */
export type PoolMembers = { name: string; ids: readonly string[] };

/** The way that is open decides: a site is suspended when all our addresses are. That mail takes another way is told, too. */
export function flowOf(limits: readonly SiteLimit[]): Flow {
  const order = ["open", "slowed", "suspended", "held"] as const;
  const [best] = limits.toSorted(
    (one, other) =>
      order.indexOf(one.state) - order.indexOf(other.state) || (one.untilMs ?? 0) - (other.untilMs ?? 0),
  );
  if (best === undefined) return { state: "open" };
  const { state, untilMs } = best;
  const why = best.why ?? limits.find(({ pool }) => pool !== undefined)?.why;
  return { state, ...(untilMs === undefined ? {} : { untilMs }), ...(why === undefined ? {} : { why }) };
}

/**
 * What the site does to our pools: mail stays in its pool, so an address that the site is left alone by holds up mail while others
 * send. Rows of addresses that are in no pool any more count for nothing.
 */
export function siteFlow(limits: readonly SiteLimit[], pools: readonly PoolMembers[]): Flow {
  const isPooled = ({ egress }: SiteLimit) => pools.some(({ ids }) => ids.includes(egress));
  const rows = pools.length === 0 ? limits : limits.filter(isPooled);
  const flow = flowOf(rows);
  const waiting = rows.filter((row) => isLeftAlone(row.state) && !takesMovedMail(row.pool, limits, pools));
  if (isLeftAlone(flow.state) || waiting.length === 0) return flow;
  const stopped = pools.filter(({ ids }) => ids.every((id) => waiting.some(({ egress }) => egress === id)));
  if (flow.state !== "open" && stopped.length === 0) return flow;
  const why = sentence([
    ...stopped.map(({ name }) => phrase("flow.pool-left-alone", { pool: name })),
    ...waiting.map(({ egress, why, state }) => phrase("flow.left-alone", { egress, why: why ?? state })),
    flow.why,
  ]);
  const untilMs = Math.min(...waiting.map((row) => row.untilMs ?? Number.POSITIVE_INFINITY));
  return { ...(Number.isFinite(untilMs) ? { untilMs } : {}), ...flow, state: "slowed", why };
}

/** A rule sends the mail by a pool that some address of can send there. */
function takesMovedMail(
  name: string | undefined,
  limits: readonly SiteLimit[],
  pools: readonly PoolMembers[],
): boolean {
  const pool = pools.find((one) => one.name === name);
  const isStopped = (id: string) => limits.some(({ egress, state }) => egress === id && isLeftAlone(state));
  return pool !== undefined && !pool.ids.every(isStopped);
}

const whyCharsMax = 500;
/** Parts of a reason, as one. */
export const sentence = (parts: readonly (string | undefined)[]) =>
  shortened(parts.filter((part) => part !== undefined).join("; "), whyCharsMax);

/** What an address may not send stands before what the site said. */
export function refusedLimit(limit: SiteLimit, refused: readonly Refused[]): SiteLimit {
  const own = refused.filter(({ egress }) => egress === limit.egress);
  if (own.length === 0) return limit;
  const reasons = own.map(({ traffic, why }) => phrase("flow.no-traffic", { traffic, why }));
  return { ...limit, why: sentence([...reasons, limit.why]) };
}

/**
 * Mail waits for our own addresses, too: where none of a pool that the site takes mail from may send it, that is why. The site's
 * state stays that of what may be sent; when nothing may, it is as good as suspended.
 */
export function poolFlow(
  flow: Flow,
  limits: readonly SiteLimit[],
  refused: readonly Refused[],
  pools: readonly PoolMembers[],
): Flow {
  const everyone = [...limits, ...refused].map(({ egress }) => egress);
  const among = pools.length === 0 ? [{ name: "", ids: everyone }] : pools;
  const stops = traffics.flatMap((traffic) => stopOf(traffic, limits, refused, among) ?? []);
  if (stops.length === 0) return flow;
  const why = sentence(stops.flatMap(({ reasons }) => reasons));
  const isAll = stops.length === traffics.length && stops.every(({ isWhole }) => isWhole);
  const least: FlowState = isAll ? "suspended" : "slowed";
  const isStricter = flowStates.indexOf(least) > flowStates.indexOf(flow.state);
  return isStricter ? { state: least, why: sentence([why, flow.why]) } : { ...flow, why };
}

/** Which pools cannot send this traffic to the site now because of ourselves, and whether those are all that ever did. */
function stopOf(
  traffic: Traffic,
  limits: readonly SiteLimit[],
  refused: readonly Refused[],
  pools: readonly PoolMembers[],
): { reasons: string[]; isWhole: boolean } | undefined {
  const own = new Map(refused.flatMap((one) => (one.traffic === traffic ? [[one.egress, one.why]] : [])));
  const rows = new Map(limits.map((row) => [row.egress, row]));
  const isOut = (id: string) => own.has(id) || isLeftAlone(rows.get(id)?.state ?? "open");
  const known = pools.filter(({ ids }) => ids.some((id) => own.has(id) || rows.has(id)));
  const out = known.filter(({ ids }) => ids.every(isOut));
  const stopped = out.filter(({ ids }) => ids.some((id) => own.has(id)));
  if (stopped.length === 0) return undefined;
  const isWhole = out.length === known.length;
  const names = isWhole
    ? [phrase("flow.none-may-send", { traffic })]
    : stopped.map(({ name }) => phrase("flow.pool-may-not-send", { pool: name, traffic }));
  const ids = [...new Set(stopped.flatMap((pool) => pool.ids))];
  const others = ids.flatMap((id) => (own.has(id) ? [] : (rows.get(id) ?? [])));
  return {
    isWhole,
    reasons: [
      ...names,
      ...ids.flatMap((id) => own.get(id) ?? []),
      ...others.map(({ egress, why, state }) => phrase("flow.left-alone", { egress, why: why ?? state })),
    ],
  };
}

const isLeftAlone = (state: FlowState) => state === "suspended" || state === "held";
