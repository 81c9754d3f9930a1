/** What becomes of one key's record: what a process tells of its wish, and what it claims, gives and takes back. Without I/O. */
import type { ShareRecord } from "@tyto/contracts";
import {
  type Claim,
  isSameClaim,
  isSameLimit,
  isScarce,
  type Limit,
  lacks,
  noClaim,
  stepTo,
  targetOf,
  type View,
  viewOf,
  writeClaim,
} from "./claim.ts";

/** A key that nobody here asked for is given back after this time. */
export const idleMs = 30_000;
/** A claim is written anew so often, well inside the life of its record. */
const renewMs = 4 * 3_600_000;
/** A want that sank may rise again: it is told after this time, and only when another process lacks something. */
const sinkMs = 500;
/** A want that sank by less is not worth a write. */
const sunkShareMin = 0.02;
/** What changes all the time is told at most so often for a key. */
const tellMs = 200;
const tellLimitMs = 1_000;
/** Where there are fewer connections than processes, each has them for so long. */
const turnMs = 60_000;

/** What this process wants of a key. */
export type Wish = {
  limit: Limit;
  wanted: number;
  askedMs: number;
  /** When this process wrote the record last. */
  toldMs: number;
  /** Since when the want is lower than what was told. */
  sunkMs: number | undefined;
};

/** Who decides, and when. `open`: connections. `owes`: others still wait to read what this process uses. */
export type Around = {
  id: string;
  isLive(id: string): boolean;
  open: number;
  owes: boolean;
  nowMs: number;
  wallMs: number;
};

/** `forget`: nobody here needs the key. `keep`: the record may stay as it is. `isRestless`: time alone will change that. */
export type Revision =
  | { kind: "forget" }
  | { kind: "keep"; sunkMs: number | undefined; isRestless: boolean }
  | { kind: "write"; record: ShareRecord | undefined; sunkMs: number | undefined; isRestless: boolean };

export function revise(record: ShareRecord, wish: Wish, around: Around): Revision {
  const { id, isLive, nowMs } = around;
  const view = viewOf(record, id, isLive, wish.limit);
  if (isIdle(wish, around)) return giveBack(record, view, wish, around);

  const want = wantToTell(view, wish, nowMs);
  const limit = limitToTell(view, wish, nowMs);
  const turn = turnToTake(view, want.wanted, around.wallMs);
  const target = targetOf(view, want.wanted, turn.turn);
  const part = stepTo(target, view, around.open);
  const isRestless =
    want.isHeldBack || limit.isHeldBack || turn.isScarce || part.connections > target.connections;

  const claim: Claim = { ...part, wanted: want.wanted, limit: limit.limit };
  const isSame = view.held !== undefined && isSameClaim(claim, view.held) && turn.turn === record.turn;
  if (isSame && nowMs - wish.toldMs < renewMs) return { kind: "keep", sunkMs: want.sunkMs, isRestless };
  const claims = { ...livingOthers(record, around), [id]: writeClaim(claim) };
  return { kind: "write", record: { turn: turn.turn, claims }, sunkMs: want.sunkMs, isRestless };
}

const isIdle = ({ wanted, askedMs }: Wish, { open, owes, nowMs }: Around): boolean =>
  wanted === 0 && open === 0 && !owes && nowMs - askedMs > idleMs;

function giveBack(record: ShareRecord, view: View, { sunkMs }: Wish, around: Around): Revision {
  if (view.held === undefined) return { kind: "forget" };
  const others =
    view.rivals.length === 0 ? undefined : { turn: record.turn, claims: livingOthers(record, around) };
  return { kind: "write", record: others, sunkMs, isRestless: false };
}

/** What those claim who live, without this process. */
const livingOthers = ({ claims }: ShareRecord, { id, isLive }: Around): ShareRecord["claims"] =>
  Object.fromEntries(Object.entries(claims).filter(([other]) => other !== id && isLive(other)));

/** More than this a process can neither open nor send within a minute. */
const usefulMax = ({ connectionsMax, perMinute }: Limit): number =>
  Math.max(connectionsMax, Number.isFinite(perMinute) ? Math.ceil(perMinute) : 0);

/** A want that rose is told when this process lacks something for it; one that sank, when another process does. */
function wantToTell({ held, rivals, limit }: View, wish: Wish, nowMs: number) {
  const cap = usefulMax(wish.limit);
  const told = held ?? noClaim;
  const wanted = Math.min(wish.wanted, cap);
  const hasRisen = wanted > told.wanted && lacks(wanted, told, limit);
  const hasSunk =
    told.wanted - wanted >= Math.max(1, cap * sunkShareMin) &&
    rivals.some(({ claim }) => lacks(claim.wanted, claim, limit));
  const sunkMs = hasSunk ? (wish.sunkMs ?? nowMs) : undefined;
  const isDue = hasRisen || (sunkMs !== undefined && nowMs - sunkMs >= sinkMs);
  const isTold = held === undefined || (isDue && nowMs - wish.toldMs >= tellMs);
  return {
    wanted: isTold ? wanted : told.wanted,
    sunkMs,
    isHeldBack: (hasRisen || hasSunk) && !isTold,
  };
}

/** A limit that became stricter is told at once. */
function limitToTell({ held }: View, { limit, toldMs }: Wish, nowMs: number) {
  if (held === undefined) return { limit, isHeldBack: false };
  const isStricter =
    limit.connectionsMax < held.limit.connectionsMax || limit.perMinute < held.limit.perMinute;
  const isTold = isStricter || nowMs - toldMs >= tellLimitMs;
  return { limit: isTold ? limit : held.limit, isHeldBack: !isTold && !isSameLimit(limit, held.limit) };
}

/** Whoever wants something and sees that a turn is over begins the next one for all. */
function turnToTake(view: View, wanted: number, wallMs: number) {
  const scarce = isScarce(view, wanted);
  const wallTurn = Math.floor(wallMs / turnMs);
  const takes = scarce && wanted > 0 && wallTurn > view.turn;
  return { turn: takes ? wallTurn : view.turn, isScarce: scarce };
}
