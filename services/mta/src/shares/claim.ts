/** What one process holds of one key's limits, and what it should hold: decisions about one record, without time or I/O. */
import type { ShareRecord } from "@tyto/contracts";
import { divideRate, divideWhole, type Want } from "./divide.ts";

/** `perMinute` is infinite where the rate is not limited. */
export type Limit = { connectionsMax: number; perMinute: number };
/** A claim with numbers instead of absent fields. */
export type Claim = { connections: number; perMinute: number; wanted: number; limit: Limit };

export const noClaim: Claim = {
  connections: 0,
  perMinute: 0,
  wanted: 0,
  limit: { connectionsMax: 0, perMinute: 0 },
};
export const emptyRecord: ShareRecord = { turn: 0, claims: {} };

type StoredClaim = ShareRecord["claims"][string];
const unlimited = Number.POSITIVE_INFINITY;

export const readClaim = (stored: StoredClaim): Claim => ({
  connections: stored.connections,
  perMinute: stored.perMinute ?? unlimited,
  wanted: stored.wanted,
  limit: { connectionsMax: stored.connectionsMax, perMinute: stored.perMinuteMax ?? unlimited },
});

export const writeClaim = ({ connections, perMinute, wanted, limit }: Claim): StoredClaim => ({
  connections,
  ...(perMinute === unlimited ? {} : { perMinute }),
  wanted,
  connectionsMax: limit.connectionsMax,
  ...(limit.perMinute === unlimited ? {} : { perMinuteMax: limit.perMinute }),
});

export const isSameClaim = (one: Claim, other: Claim): boolean =>
  one.connections === other.connections &&
  one.perMinute === other.perMinute &&
  one.wanted === other.wanted &&
  isSameLimit(one.limit, other.limit);

export const isSameLimit = (one: Limit, other: Limit): boolean =>
  one.connectionsMax === other.connectionsMax && one.perMinute === other.perMinute;

/** A record as one of its processes sees it. */
export type View = {
  id: string;
  turn: number;
  held: Claim | undefined;
  rivals: { id: string; claim: Claim }[];
  /** The strictest that anybody knows: who met trouble knows better. */
  limit: Limit;
};

export function viewOf(
  { turn, claims }: ShareRecord,
  id: string,
  isAlive: (id: string) => boolean,
  ownLimit: Limit,
): View {
  const rivals = Object.entries(claims)
    .filter(([other]) => other !== id && isAlive(other))
    .map(([other, claim]) => ({ id: other, claim: readClaim(claim) }));
  const held = claims[id];
  return {
    id,
    turn,
    held: held === undefined ? undefined : readClaim(held),
    rivals,
    limit: {
      connectionsMax: Math.min(
        ownLimit.connectionsMax,
        ...rivals.map(({ claim }) => claim.limit.connectionsMax),
      ),
      perMinute: Math.min(ownLimit.perMinute, ...rivals.map(({ claim }) => claim.limit.perMinute)),
    },
  };
}

/** More processes want something than there are connections: they take turns. */
export const isScarce = ({ rivals, limit }: View, wanted: number): boolean =>
  limit.connectionsMax <
  [wanted, ...rivals.map(({ claim }) => claim.wanted)].filter((amount) => amount > 0).length;

export type Part = { connections: number; perMinute: number };

/** The part that is this process's when all have told what they want. Every process comes to the same parts. */
export function targetOf(view: View, wanted: number, turn: number): Part {
  const byTurn = isScarce(view, wanted);
  const want = (id: string, amount: number): Want => ({
    id,
    wanted: amount,
    order: Bun.hash.crc32(byTurn ? `${id} ${turn}` : id),
  });
  const wants = [want(view.id, wanted), ...view.rivals.map(({ id, claim }) => want(id, claim.wanted))];
  return {
    connections: divideWhole(view.limit.connectionsMax, wants).get(view.id) ?? 0,
    perMinute: divideRate(view.limit.perMinute, wants).get(view.id) ?? 0,
  };
}

/** Who wants `wanted` messages and may not send as many at a time, or not all of them within a minute. */
export const lacks = (wanted: number, { connections, perMinute }: Part, limit: Limit): boolean =>
  Math.min(wanted, limit.connectionsMax) > connections ||
  // A grain of the division is no reason to speak up.
  Math.min(wanted, limit.perMinute) > perMinute * 1.01;

/** The way from what is held towards the target: up only into room that nobody holds, down only below what is closed. */
export function stepTo(target: Part, { held = noClaim, rivals, limit }: View, open: number): Part {
  const connectionsRoom = limit.connectionsMax - sum(rivals.map(({ claim }) => claim.connections));
  const connections =
    target.connections >= held.connections
      ? Math.max(held.connections, Math.min(target.connections, connectionsRoom))
      : Math.max(target.connections, Math.min(held.connections, open));
  if (limit.perMinute === unlimited) return { connections, perMinute: unlimited };
  const rateRoom = limit.perMinute - sum(rivals.map(({ claim }) => claim.perMinute));
  const perMinute =
    target.perMinute >= held.perMinute
      ? Math.max(held.perMinute, Math.min(target.perMinute, rateRoom))
      : target.perMinute;
  return { connections, perMinute };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
