/**
 * One mta process among others that share the limits of sites: who is there, what each may use, and what to write so
 * that the others know. Nothing here does I/O or looks at a clock: time comes in, what is to be written goes out.
 *
 * The rules that keep the sum below every limit:
 * - The claims of all on one key stand in one record, which is changed only if it is still what was read (compare and
 *   set). A claim grows only into room that nobody holds.
 * - A process uses at most its claim. It uses less first and gives back afterwards.
 * - A process that is alone claims nothing and uses everything. Who joins waits until all who live have told that they
 *   reckon with it, and they tell that when what they use stands in records.
 * - A process lives until `lapseMs` after it sent the last beat of its own that came back to it through the bus. Others
 *   free its claims when they have not heard of it for `takeMs`, counted from when they heard a beat, which is later than
 *   when it was sent. So no clock is ever compared with another one.
 * - Who has lapsed has lost all it held, and begins again as somebody else.
 */
import type { PeerRecord, ShareRecord } from "@tyto/contracts";
import {
  type Claim,
  emptyRecord,
  isSameClaim,
  isSameLimit,
  isScarce,
  type Limit,
  lacks,
  noClaim,
  type Part,
  readClaim,
  stepTo,
  targetOf,
  viewOf,
  writeClaim,
} from "./claim.ts";

export const beatMs = 2_000;
/** Silence of the bus after which this process uses nothing. Longer than a restart or an election of NATS takes. */
export const lapseMs = 10_000;
/** Silence of another process after which its claims are free. What it had begun has the time between the two to end. */
export const takeMs = 22_000;
/** A beat that was not stored is sent again after this time. */
const beatAgainMs = 250;
/** A key that nobody here asked for is given back after this time. */
const idleMs = 30_000;
/** A claim is written anew so often, well inside the life of its record. */
const renewMs = 4 * 3_600_000;
/** A want that sank may rise again: it is told after this time, and only when another process lacks something. */
const sinkMs = 500;
/** What changes all the time is told at most so often for a key. */
const tellMs = 200;
const tellLimitMs = 1_000;
/** Where there are fewer connections than processes, each has them for so long. */
const turnMs = 60_000;
/** What waits for time to pass is looked at so often. */
const restlessMs = 100;
const sweepMs = 5_000;
/** A record that was said to have changed, and of which nothing is heard for this time, has gone by age. */
const unheardMsMax = 5_000;
/** Records on their way at a time. */
const writesMax = 64;
/** Keys in use at a time; further ones get nothing until others rest. */
const keysMax = 50_000;
/** More than this no process opens; it stands for "not limited". */
const connectionsMost = 100_000;

export type Write =
  | { kind: "beat"; key: string; value: PeerRecord | undefined; revision: number }
  | { kind: "record"; key: string; value: ShareRecord | undefined; revision: number };
/** `lost`: somebody else wrote first. `unknown`: it may be stored or not. */
export type Written = { kind: "stored"; revision: number } | { kind: "lost" } | { kind: "unknown" };

export type MemberOptions = {
  /** A name that no other living process has; a new life under it ends the one before. */
  name: string;
  /** An id for a life that nobody had before. */
  newId: () => string;
  /** Connections for `key` that are open or being opened, each until it is closed. */
  inUse: (key: string) => number;
  /** What this process may use of `key` has changed; without a key, of all. */
  onChange: (key: string | undefined) => void;
  /** Something that the operator should read. */
  onTrouble: (what: "lapsed" | "name-taken") => void;
};

/**
 * `joining`: uses nothing until the others reckon with this process. `alone`: uses everything. `shared`: uses its
 * claims. `lapsed`: cut off; waits until what it began has ended. `left`: stopped.
 */
export type Mode = "joining" | "alone" | "shared" | "lapsed" | "left";

type Peer = { name: string; id: string; revision: number; heardMs: number; sees: readonly string[] };
type Stored = { record: ShareRecord; revision: number };
type Key = {
  limit: Limit;
  wanted: number;
  askedMs: number;
  share: Limit;
  /** When this process wrote the record last. */
  toldMs: number;
  /** Since when the want is lower than what was told. */
  sunkMs: number | undefined;
  writing: Write | undefined;
  /** What is being written, or may have been: nothing beyond it is used until the record is known again. */
  pending: { part: Part; revision: number; sinceMs: number } | undefined;
};

const nothing: Limit = { connectionsMax: 0, perMinute: 0 };

export type Member = ReturnType<typeof createMember>;

export function createMember(options: MemberOptions) {
  const { inUse, onChange, onTrouble } = options;
  let mode: Mode = "joining";
  let name = options.name;
  let id = options.newId();
  let formerId: string | undefined;
  let beat = 0;
  /** When those beats were sent that have not come back; a lapse bounds their number. */
  let sentMs = new Map<number, number>();
  /** When the last beat was sent that came back: all that was stored before it has been heard. */
  let confirmedMs: number | undefined;
  let lapsedMs = 0;
  let nextBeatMs = Number.NEGATIVE_INFINITY;
  let isBeating = false;
  let told = "";
  /** Keys used while alone whose claims are not written yet; until it is empty the others wait. */
  let unwritten: Set<string> | undefined;
  const peers = new Map<string, Peer>();
  const revisions = new Map<string, number>();
  const records = new Map<string, Stored>();
  const keys = new Map<string, Key>();
  const dirty = new Set<string>();
  const restless = new Set<string>();
  let restlessAtMs = Number.NEGATIVE_INFINITY;
  let sweptMs = Number.NEGATIVE_INFINITY;
  let writing = 0;

  const isLive = (one: string): boolean => {
    if (one === id) return true;
    for (const peer of peers.values()) if (peer.id === one) return true;
    return false;
  };
  const isConfirmed = (nowMs: number) => confirmedMs !== undefined && nowMs < confirmedMs + lapseMs;

  const setMode = (next: Mode) => {
    if (mode === next) return;
    mode = next;
    for (const [key, entry] of keys) {
      entry.share = shareNow(key, entry);
      dirty.add(key);
    }
    onChange(undefined);
  };

  /** Another life, which holds nothing. */
  const beginAnew = (nowMs: number, newName = name) => {
    lapsedMs = nowMs;
    unwritten = undefined;
    confirmedMs = undefined;
    sentMs = new Map();
    formerId = id;
    id = options.newId();
    name = newName;
    beat = 0;
    // All of it is heard again, in its order.
    peers.clear();
    revisions.clear();
    records.clear();
    for (const entry of keys.values()) {
      entry.pending = undefined;
      entry.writing = undefined;
    }
    setMode("lapsed");
  };

  const membersChanged = () => {
    for (const [key, entry] of keys) {
      announce(key, entry);
      dirty.add(key);
    }
  };

  /** What may be used of a key, as far as it is known. */
  const shareNow = (key: string, entry: Key): Limit => {
    if (mode === "alone" || unwritten?.has(key) === true) return entry.limit;
    if (mode !== "shared") return nothing;
    const view = viewOf(records.get(key)?.record ?? emptyRecord, id, isLive, entry.limit);
    if (view.held === undefined) return nothing;
    const target = targetOf(view, view.held.wanted, view.turn);
    const parts = [view.held, target, ...(entry.pending === undefined ? [] : [entry.pending.part])];
    return {
      connectionsMax: Math.min(...parts.map(({ connections }) => connections)),
      perMinute: Math.min(...parts.map(({ perMinute }) => perMinute)),
    };
  };

  const announce = (key: string, entry: Key) => {
    const share = shareNow(key, entry);
    if (isSameLimit(share, entry.share)) return;
    entry.share = share;
    onChange(key);
  };

  /** A newer record than the one that was to be replaced: the write is in it, or can never be. */
  const clearPending = (entry: Key, revision: number) => {
    if (entry.pending !== undefined && revision > entry.pending.revision) entry.pending = undefined;
  };

  const learn = (key: string, stored: Stored) => {
    if (stored.revision <= (records.get(key)?.revision ?? 0)) return;
    records.set(key, stored);
    const entry = keys.get(key);
    if (entry === undefined) return;
    if (entry.writing === undefined) clearPending(entry, stored.revision);
    if (unwritten?.has(key) === true && isWritten(stored, entry)) unwritten.delete(key);
    announce(key, entry);
    dirty.add(key);
  };

  /** The claim of one who was alone covers all that it used. */
  const isWritten = ({ record }: Stored, { limit }: Key): boolean => {
    const claim = record.claims[id];
    if (claim === undefined) return false;
    const { connections, perMinute } = readClaim(claim);
    return connections >= limit.connectionsMax && perMinute >= limit.perMinute;
  };

  /** Looks at the clock: does this process still live, is another one gone, may it begin? */
  const settle = (nowMs: number): void => {
    if (mode === "left") return;
    if (confirmedMs !== undefined && !isConfirmed(nowMs)) {
      beginAnew(nowMs);
      onTrouble("lapsed");
      return;
    }
    if (mode === "lapsed") {
      const isOver =
        nowMs >= lapsedMs + takeMs - lapseMs || [...keys.keys()].every((key) => inUse(key) === 0);
      if (!isOver) return;
      nextBeatMs = nowMs;
      setMode("joining");
    }
    if (confirmedMs === undefined) return;
    for (const peer of peers.values())
      if (confirmedMs - peer.heardMs > takeMs) {
        peers.delete(peer.name);
        membersChanged();
      }
    if (peers.size === 0) {
      unwritten = undefined;
      setMode("alone");
      return;
    }
    if (mode === "alone") {
      unwritten = new Set(keys.keys());
      for (const key of keys.keys()) {
        const stored = records.get(key);
        const entry = keys.get(key);
        if (stored !== undefined && entry !== undefined && isWritten(stored, entry)) unwritten.delete(key);
      }
      setMode("shared");
    } else if (mode === "joining" && [...peers.values()].every(({ sees }) => sees.includes(id)))
      setMode("shared");
    if (unwritten?.size === 0) unwritten = undefined;
  };

  const seen = (): string[] =>
    mode === "alone" || unwritten !== undefined ? [] : [...peers.values()].map((peer) => peer.id).toSorted();

  const beatNow = (nowMs: number): Write[] => {
    if (mode === "lapsed" || mode === "left" || isBeating) return [];
    const sees = seen();
    // Somebody waits to be reckoned with.
    if (nowMs < nextBeatMs && told === sees.join()) return [];
    told = sees.join();
    nextBeatMs = nowMs + beatMs;
    isBeating = true;
    sentMs.set(++beat, nowMs);
    return [{ kind: "beat", key: name, value: { id, beat, sees }, revision: revisions.get(name) ?? 0 }];
  };

  /** The record with this process's part as it should be, or `undefined` when it may stay as it is. */
  const revise = (
    key: string,
    entry: Key,
    nowMs: number,
    wallMs: number,
  ): (Write & { kind: "record" }) | undefined => {
    const { record, revision } = records.get(key) ?? { record: emptyRecord, revision: 0 };
    const living = Object.fromEntries(Object.entries(record.claims).filter(([one]) => isLive(one)));
    const view = viewOf(record, id, isLive, entry.limit);
    const { held, rivals, limit } = view;
    const open = inUse(key);
    const others = Object.fromEntries(Object.entries(living).filter(([one]) => one !== id));

    if (entry.wanted === 0 && open === 0 && nowMs - entry.askedMs > idleMs && unwritten?.has(key) !== true) {
      if (held === undefined) return void keys.delete(key);
      const value = rivals.length === 0 ? undefined : { turn: record.turn, claims: others };
      return { kind: "record", key, value, revision };
    }

    const cap = Math.max(
      entry.limit.connectionsMax,
      Number.isFinite(entry.limit.perMinute) ? Math.ceil(entry.limit.perMinute) : 0,
    );
    const present = held ?? noClaim;
    const wanted = Math.min(entry.wanted, cap);
    const isOtherShort = rivals.some(({ claim }) => lacks(claim.wanted, claim, limit));
    const hasRisen = wanted > present.wanted && lacks(wanted, present, limit);
    const hasSunk = present.wanted - wanted >= Math.max(1, cap * 0.02) && isOtherShort;
    entry.sunkMs = hasSunk ? (entry.sunkMs ?? nowMs) : undefined;
    const tellsSunk = entry.sunkMs !== undefined && nowMs - entry.sunkMs >= sinkMs;
    const tellsWant = held === undefined || ((hasRisen || tellsSunk) && nowMs - entry.toldMs >= tellMs);
    const statedWant = tellsWant ? wanted : present.wanted;
    if ((hasRisen || hasSunk) && !tellsWant) restless.add(key);

    const isStricter =
      entry.limit.connectionsMax < present.limit.connectionsMax ||
      entry.limit.perMinute < present.limit.perMinute;
    const tellsLimit = held === undefined || isStricter || nowMs - entry.toldMs >= tellLimitMs;
    if (!tellsLimit && !isSameLimit(entry.limit, present.limit)) restless.add(key);

    const wallTurn = Math.floor(wallMs / turnMs);
    const takesTurn = wallTurn > record.turn && isScarce(view, statedWant) && statedWant > 0;
    const turn = takesTurn ? wallTurn : record.turn;
    if (isScarce(view, statedWant)) restless.add(key);

    const target = targetOf(view, statedWant, turn);
    const part = stepTo(target, view, open);
    if (part.connections > target.connections) restless.add(key);
    const claim: Claim = {
      ...part,
      wanted: statedWant,
      limit: tellsLimit ? entry.limit : present.limit,
    };
    const isSame = held !== undefined && isSameClaim(claim, held) && !takesTurn;
    if (isSame && nowMs - entry.toldMs < renewMs) return undefined;
    return { kind: "record", key, value: { turn, claims: { ...others, [id]: writeClaim(claim) } }, revision };
  };

  const claimNow = (nowMs: number, wallMs: number): Write[] => {
    if (mode !== "shared" || !isConfirmed(nowMs)) return [];
    const writes: Write[] = [];
    for (const key of dirty) {
      if (writing >= writesMax) break;
      dirty.delete(key);
      const entry = keys.get(key);
      if (entry === undefined || entry.writing !== undefined) continue;
      const write = revise(key, entry, nowMs, wallMs);
      if (write !== undefined) {
        begin(entry, write, nowMs);
        writes.push(write);
      }
      announce(key, entry);
    }
    return writes;
  };

  const begin = (entry: Key, write: Write & { kind: "record" }, nowMs: number) => {
    const own = write.value?.claims[id];
    const part = own === undefined ? noClaim : readClaim(own);
    // An earlier write whose fate is not known counts as well.
    const doubted = entry.pending?.part ?? part;
    entry.pending = {
      part: {
        connections: Math.min(part.connections, doubted.connections),
        perMinute: Math.min(part.perMinute, doubted.perMinute),
      },
      revision: write.revision,
      sinceMs: nowMs,
    };
    entry.writing = write;
    entry.toldMs = nowMs;
    writing++;
  };

  /** Lets go of what nobody asked for, and of records that nobody alive needs. */
  const sweep = (nowMs: number): Write[] => {
    if (nowMs - sweptMs < sweepMs) return [];
    sweptMs = nowMs;
    for (const [key, entry] of keys) {
      if (nowMs - entry.askedMs <= idleMs || entry.wanted > 0 || inUse(key) > 0) continue;
      if (mode === "shared") dirty.add(key);
      else if (entry.writing === undefined) keys.delete(key);
    }
    if (mode !== "alone") return [];
    const stale: Write[] = [];
    for (const [key, { record, revision }] of records) {
      if (writing + stale.length >= writesMax) break;
      if (Object.keys(record.claims).length === 0 || keys.get(key)?.writing !== undefined) continue;
      stale.push({ kind: "record", key, value: undefined, revision });
    }
    writing += stale.length;
    return stale;
  };

  return {
    /** A beat of some process came through the bus; `undefined` when its name was removed. */
    seeBeat(key: string, value: PeerRecord | undefined, revision: number, nowMs: number): void {
      revisions.set(key, Math.max(revision, revisions.get(key) ?? 0));
      if (key === name) {
        if (value?.id === id) {
          const sent = sentMs.get(value.beat);
          // A beat that came back after the lapse is too late.
          if (
            sent !== undefined &&
            (confirmedMs === undefined || isConfirmed(nowMs)) &&
            nowMs < sent + lapseMs
          )
            confirmedMs = Math.max(confirmedMs ?? sent, sent);
          for (const number of sentMs.keys()) if (number <= value.beat) sentMs.delete(number);
        } else if (confirmedMs !== undefined && value !== undefined && value.id !== formerId) {
          beginAnew(nowMs, `${options.name}~${options.newId()}`);
          onTrouble("name-taken");
          return;
        }
        settle(nowMs);
        return;
      }
      const known = peers.get(key);
      // Read once more: it tells nothing new.
      if (known !== undefined && revision <= known.revision) return;
      if (value === undefined) peers.delete(key);
      else peers.set(key, { name: key, id: value.id, revision, heardMs: nowMs, sees: value.sees });
      if (known?.id !== value?.id) membersChanged();
      settle(nowMs);
    },

    /** A record came through the bus. */
    seeRecord(key: string, record: ShareRecord | undefined, revision: number): void {
      learn(key, { record: record ?? emptyRecord, revision });
    },

    /** What is to be written now. Each has to be answered by `written`. */
    writes(nowMs: number, wallMs: number): Write[] {
      settle(nowMs);
      if (nowMs - restlessAtMs >= restlessMs) {
        restlessAtMs = nowMs;
        for (const key of restless) dirty.add(key);
        restless.clear();
        for (const [key, { pending, writing: isWriting }] of keys) {
          if (pending === undefined || isWriting !== undefined || nowMs - pending.sinceMs < unheardMsMax)
            continue;
          records.delete(key);
          dirty.add(key);
        }
      }
      return [...sweep(nowMs), ...beatNow(nowMs), ...claimNow(nowMs, wallMs)];
    },

    /** What became of a write. */
    written(write: Write, result: Written, nowMs: number): void {
      if (write.kind === "beat") {
        isBeating = false;
        if (result.kind === "stored")
          revisions.set(write.key, Math.max(result.revision, revisions.get(write.key) ?? 0));
        else nextBeatMs = Math.min(nextBeatMs, nowMs + beatAgainMs);
        return;
      }
      writing--;
      const { key, value } = write;
      const entry = keys.get(key);
      const isCurrent = entry?.writing === write;
      if (entry !== undefined && isCurrent) entry.writing = undefined;
      if (result.kind === "stored") learn(key, { record: value ?? emptyRecord, revision: result.revision });
      if (entry === undefined || !isCurrent) return;
      clearPending(entry, records.get(key)?.revision ?? 0);
      // Lost to a record that has not come yet: its coming is waited for.
      if (result.kind === "unknown") restless.add(key);
      else if (entry.pending === undefined) dirty.add(key);
      announce(key, entry);
    },

    /** What this process may use of `key` at this moment. */
    shareOf(key: string, wish: Limit, nowMs: number): Limit {
      // Whole connections; limits that are learned need not be.
      const limit = {
        connectionsMax: Math.min(connectionsMost, Math.max(0, Math.floor(wish.connectionsMax))),
        perMinute: Math.max(0, wish.perMinute),
      };
      let entry = keys.get(key);
      if (entry === undefined) {
        if (keys.size >= keysMax) return nothing;
        entry = {
          limit,
          wanted: 0,
          askedMs: nowMs,
          share: nothing,
          toldMs: Number.NEGATIVE_INFINITY,
          sunkMs: undefined,
          writing: undefined,
          pending: undefined,
        };
        keys.set(key, entry);
        entry.share = shareNow(key, entry);
        dirty.add(key);
      }
      entry.askedMs = nowMs;
      if (!isSameLimit(entry.limit, limit)) {
        entry.limit = limit;
        entry.share = shareNow(key, entry);
        dirty.add(key);
      }
      return isConfirmed(nowMs) ? entry.share : nothing;
    },

    /** How many messages for `key` wait here or are on their way. */
    demand(key: string, wanted: number): void {
      const entry = keys.get(key);
      if (entry === undefined || entry.wanted === wanted) return;
      entry.wanted = wanted;
      if (mode === "shared") dirty.add(key);
    },

    /** Leaves for good: the others need not wait for the silence. Everything must be closed. */
    leave(): Write | undefined {
      const wasThere = confirmedMs !== undefined;
      confirmedMs = undefined;
      setMode("left");
      return wasThere
        ? { kind: "beat", key: name, value: undefined, revision: revisions.get(name) ?? 0 }
        : undefined;
    },

    mode: (): Mode => mode,
    status(nowMs: number) {
      return {
        mode,
        name,
        id,
        silentMs: confirmedMs === undefined ? undefined : nowMs - confirmedMs,
        peers: [...peers.values()].map((peer) => ({
          name: peer.name,
          id: peer.id,
          silentMs: nowMs - peer.heardMs,
        })),
        keys: keys.size,
      };
    },
    /** What is known of one key, for people. */
    statusOf(key: string) {
      const entry = keys.get(key);
      const record = records.get(key)?.record;
      if (entry === undefined) return undefined;
      return { ...entry.share, limit: entry.limit, wanted: entry.wanted, claims: record?.claims ?? {} };
    },
  };
}
