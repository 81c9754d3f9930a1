import { type Arrival, done, retry, type Verdict } from "@tyto/bus";
import {
  type AttemptMark,
  type Claim,
  type DeliveryId,
  Failure,
  type MessageId,
  type QueueEntry,
  type Reason,
  type StoredEvent,
  suppressionKey,
} from "@tyto/contracts";
import { BoundedMap, type Log } from "@tyto/service";
import { allOf } from "./all-of.ts";
import type { Attempted, Hold, Via } from "./attempt.ts";
import type { Metrics } from "./metrics.ts";
import type { Observation, Wayless } from "./observation.ts";
import { after, type GiveUp, type Outcome, type Settlement, settle } from "./outcome.ts";
import type { Site } from "./site.ts";
import { type Away, type Followers, together } from "./together.ts";

/** The outside world, as delivering needs it. */
export type DeliverPorts = {
  markOf(id: DeliveryId): Promise<AttemptMark | undefined>;
  isSuppressed(key: string): Promise<boolean>;
  /** The claim of the message: ours if nobody was before us. */
  claim(messageId: MessageId, claim: Claim): Promise<Claim>;
  /**
   * `hold` is given what sets the session that carried the message free for the next one. It is called when the
   * outcome is stored: so no more messages than connections are ever sent and not yet recorded.
   */
  attempt(
    entry: QueueEntry,
    siteWaitMs: number,
    hold: Hold,
    followers?: Pick<Followers, "count" | "admit">,
  ): Promise<Attempted>;
  putMark(id: DeliveryId, mark: AttemptMark): Promise<void>;
  /** Publishes the event that a mark holds. */
  publish(event: AttemptMark["event"]): Promise<void>;
  /** Puts the entry into the queue for `atMs`. */
  queue(entry: QueueEntry, atMs: number): Promise<void>;
  /** Tells everything that learns from outcomes. */
  see(observation: Observation): void;
  /** Tells what ended before there was a server to learn about. */
  seeNowhere(observation: Wayless): void;
  /** Tells why one goes back into the queue without an attempt, by its site. */
  seeAway?(site: string, why: string): void;
  /** Why a rule gives up what a site puts off. */
  giveUp?(site: Site): GiveUp;
  dropBody(entry: QueueEntry): Promise<void>;
  /** An operator is about to change it in the queue. */
  isWithheld?(id: DeliveryId): boolean;
  now: () => number;
  random: () => number;
  firstWaitMs: number;
  /** How long a message waits before its sender is told. */
  delayNoticeMs?: number;
  log: Log;
  metrics: Pick<Metrics, "attempts" | "inDoubt" | "repeated" | "duration">;
};

/** A copy of an entry that is in hand comes back after this time; then the outcome of the first is known. */
const copyMs = 5_000;
/** One that an operator is changing in the queue is looked at again after this. */
const withheldMs = 300;
/**
 * What waits in the queue is looked at again after this time at the latest, because whatever it waits for may be over
 * sooner; twice as long each time, so that a long backlog is not turned over all the time.
 */
const parkedMs = { first: 30_000, max: 900_000 };
/** Intake has looked at the suppression list; an entry this young is not looked up again. */
const suppressionFreshMs = 30_000;
/** An outcome that the store refuses is tried for this long; then the entry comes back and is sent again. */
const keepMsMax = 600_000;

/** How long an entry waits for its turn at its site before it makes room for others. */
const siteWaitMs = 10_000;
/**
 * The same on the way past the queue. Waiting in memory costs little, so the queue is for those whose site is far behind,
 * and, when many wait already, for all whose site is busy: mail to other sites stands behind them.
 */
const atOnceWaitMs = { few: 30_000, many: 5_000 };
const fewMax = 500;
/** First attempts that were made past the queue, remembered by this process. */
const atOnceMax = 50_000;

/** What came of an attempt. `settled`: its outcome is stored, or it waits in the queue. */
export type Done = "settled" | "interrupted";
/** `withheld`: an operator is about to change the entry in the queue. */
type FromQueue = Done | "withheld";

/**
 * Deliveries from start to settled outcome. The order of the last steps makes a crash repeat only what was not stored:
 * the mark (of a queue entry), the event, the next attempt, and then, by the verdict, the acknowledgement.
 */
export function createDeliveries(ports: DeliverPorts) {
  const inHand = new Set<DeliveryId>();
  const sentAtOnce = new BoundedMap<DeliveryId, true>(atOnceMax);

  /** The same delivery twice at a time can only be a copy that came back early; it waits for the first one's outcome. */
  const alone = async (entry: QueueEntry, deliver: () => Promise<Done>): Promise<Done> => {
    if (inHand.has(entry.deliveryId)) {
      await ports.queue(entry, ports.now() + copyMs);
      return "settled";
    }
    inHand.add(entry.deliveryId);
    try {
      return await deliver();
    } finally {
      inHand.delete(entry.deliveryId);
    }
  };

  const wasAtOnce = ({ attempt, deliveryId }: QueueEntry) => attempt === 1 && sentAtOnce.has(deliveryId);

  const one = async (entry: QueueEntry, arrival: Arrival, followers?: Followers): Promise<FromQueue> => {
    if (ports.isWithheld?.(entry.deliveryId)) return "withheld";
    if (wasAtOnce(entry)) {
      ports.metrics.repeated.inc();
      return "settled";
    }
    return alone(entry, () => handle(ports, entry, arrival, followers));
  };

  const past = (entry: QueueEntry, followers?: Followers): Promise<Done> =>
    alone(entry, () => {
      const waitMs = inHand.size <= fewMax ? atOnceWaitMs.few : atOnceWaitMs.many;
      const isMarked = () => {
        sentAtOnce.set(entry.deliveryId, true);
        return false;
      };
      return tryIt(ports, entry, { waitMs, followers, isMarked });
    });

  return {
    isInHand: (id: DeliveryId) => inHand.has(id),

    /** The entries of one message of the queue. `settled` is called as each of them is over. */
    async fromQueue(entries: readonly QueueEntry[], arrival: Arrival, settled = () => {}): Promise<Verdict> {
      const ends = together<FromQueue>(entries, {
        lead: (entry, followers) => one(entry, arrival, followers),
        alone: (entry) => one(entry, arrival),
        // Whether it was cancelled or suppressed meanwhile is looked at when its turn comes.
        follow: async (entry, away) =>
          ports.isWithheld?.(entry.deliveryId) || wasAtOnce(entry) || ports.now() >= entry.expiresAt
            ? one(entry, arrival)
            : alone(entry, () => park(ports, entry, away)),
      });
      const results = await allOf(ends.map((end) => end.finally(settled)));
      if (results.includes("withheld")) return retry(withheldMs, "an operator changes it in the queue");
      return results.includes("interrupted") ? retry(0, "the service stops") : done;
    },

    /** The first attempts for recipients of one message that nobody has tried before, past the queue. Their events are the marks. */
    atOnce: (entries: readonly QueueEntry[]): Promise<Done[]> =>
      allOf(
        together<Done>(entries, {
          lead: past,
          alone: past,
          follow: (entry, away) => alone(entry, () => park(ports, entry, away)),
        }),
      ),
  };
}

async function handle(
  ports: DeliverPorts,
  entry: QueueEntry,
  arrival: Arrival,
  followers: Followers | undefined,
): Promise<Done> {
  const startedMs = performance.now();
  // Always looked up: an entry can stand in the queue twice, after a crash of the server or a repeated intake.
  const [mark, isSuppressed] = await Promise.all([
    ports.markOf(entry.deliveryId),
    wasJustQueued(entry, arrival, ports.now()) ? false : ports.isSuppressed(suppressionKey(entry.recipient)),
  ]);
  if (mark !== undefined && isOver(mark, entry)) return repeat(ports, entry, mark, arrival);

  if (await isCancelled(ports, entry)) return "settled";
  if (isSuppressed) return finish(ports, entry, { kind: "suppressed" }, startedMs, true);
  if (ports.now() >= entry.expiresAt) return finish(ports, entry, { kind: "expired" }, startedMs, true);
  return tryIt(ports, entry, { waitMs: siteWaitMs, followers, isMarked: () => true });
}

/** One attempt and its outcome. `isMarked` is asked when there is an outcome: whether it needs a mark beside its event. */
async function tryIt(
  ports: DeliverPorts,
  entry: QueueEntry,
  how: { waitMs: number; followers: Followers | undefined; isMarked: () => boolean },
): Promise<Done> {
  const startedMs = performance.now();
  let release = () => {};
  try {
    const hold: Hold = (free) => {
      release = free;
    };
    const outcome = await ports.attempt(entry, how.waitMs, hold, how.followers);
    if (outcome.kind === "interrupted") return "interrupted";
    if (outcome.kind === "wait") {
      // A hold or an address's cap may be its own; whoever stands before it stands before the others, too.
      if (outcome.isBooked) how.followers?.sendAway(outcome);
      return await park(ports, entry, outcome);
    }
    return await finish(ports, entry, outcome, startedMs, how.isMarked());
  } finally {
    release();
  }
}

/** Puts an entry that may not go now back into the queue, for its site. It was no attempt. */
async function park(ports: DeliverPorts, entry: QueueEntry, away: Away): Promise<Done> {
  ports.seeAway?.(away.site.id, away.why);
  const parked = { ...entry, site: away.site.id, looks: (entry.looks ?? 0) + 1 };
  await ports.queue(parked, parkedUntil(entry, away, ports.now()));
  return "settled";
}

/** A booked turn is spread over the time that the line takes: others of its line look meanwhile. */
function parkedUntil(
  { looks = 0, expiresAt }: QueueEntry,
  { untilMs, isBooked }: { untilMs: number; isBooked?: true },
  nowMs: number,
): number {
  const longestMs = isBooked
    ? parkedMs.max
    : Math.min(parkedMs.first * 2 ** Math.min(looks, 10), parkedMs.max);
  return Math.min(untilMs, nowMs + longestMs, Math.max(nowMs, expiresAt));
}

const wasJustQueued = (entry: QueueEntry, arrival: Arrival, nowMs: number) =>
  entry.attempt === 1 && entry.scheduledAt === undefined && nowMs - arrival.storedAtMs < suppressionFreshMs;

const isOver = (mark: AttemptMark, entry: QueueEntry) => mark.final || mark.attempt >= entry.attempt;

/** Scheduled messages may be cancelled until their time: who writes the claim first decides. */
async function isCancelled(ports: DeliverPorts, entry: QueueEntry): Promise<boolean> {
  if (entry.scheduledAt === undefined) return false;
  const claim = await ports.claim(entry.messageId, { by: "released", at: ports.now() });
  return claim.by === "cancelled";
}

/**
 * The attempt was over already. Where a crash may have kept from being stored what comes after the mark, it is stored
 * again: the event is known by its id. A mere copy of an entry ends here.
 */
async function repeat(
  ports: DeliverPorts,
  entry: QueueEntry,
  mark: AttemptMark,
  { earlierUntil }: Arrival,
): Promise<Done> {
  ports.metrics.repeated.inc();
  ports.log.info("mta.entry-repeated", { deliveryId: entry.deliveryId, attempt: entry.attempt });
  if (earlierUntil === undefined) return "settled";
  await ports.publish(mark.event);
  const nextMs = nextAttemptOf(mark);
  if (nextMs !== undefined && mark.attempt === entry.attempt)
    await ports.queue(after(entry, isDelayNotice(mark)), nextMs);
  return "settled";
}

const isDelayNotice = ({ event: { payload } }: AttemptMark) =>
  typeof payload === "object" && payload !== null && "isDelayNotice" in payload;

function nextAttemptOf({ final, event }: AttemptMark): number | undefined {
  if (final || typeof event.payload !== "object" || event.payload === null) return undefined;
  const { nextAttemptAt } = event.payload as { nextAttemptAt?: unknown };
  return typeof nextAttemptAt === "number" ? nextAttemptAt : undefined;
}

async function finish(
  ports: DeliverPorts,
  entry: QueueEntry,
  outcome: Outcome & { via?: Via },
  startedMs: number,
  isMarked: boolean,
): Promise<Done> {
  const { via } = outcome;
  const clock = {
    nowMs: ports.now(),
    random: ports.random,
    firstWaitMs: ports.firstWaitMs,
    delayNoticeMs: ports.delayNoticeMs,
  };
  const { mark, next, madeBy } = settle(entry, outcome, clock, via && ports.giveUp?.(via.site));
  observe(ports, entry, outcome, mark, startedMs);
  const seen = observation(entry, mark.event, ports.now());
  if (via === undefined) ports.seeNowhere(seen);
  else
    ports.see({
      ...{ ...seen, site: via.site, egress: via.egress },
      ...(madeBy === undefined ? {} : { madeBy }),
    });

  if (isMarked) await stored(ports, () => ports.putMark(entry.deliveryId, mark));
  await stored(ports, () => ports.publish(mark.event));
  if (next !== undefined) {
    const site = via?.site.id ?? entry.site;
    const again = { ...next.entry, ...(site === undefined ? {} : { site }) };
    await stored(ports, () => ports.queue(again, next.atMs));
  }
  if (mark.final && entry.recipients === 1) dropBody(ports, entry);
  return "settled";
}

/** What the limits, rules and breakers learn from, beside the way that the delivery took. */
function observation(entry: QueueEntry, { subject, payload }: StoredEvent, atMs: number): Wayless {
  const { deliveryId, messageId, organizationId, recipient, attempt, traffic, campaign } = entry;
  return {
    atMs,
    entry: {
      ...{ deliveryId, messageId, organizationId, recipient, attempt },
      ...(traffic === undefined ? {} : { traffic }),
      ...(campaign === undefined ? {} : { campaign }),
    },
    outcome:
      subject === "mail.delivered" ? "delivered" : subject === "mail.deferred" ? "deferred" : "bounced",
    ...("reason" in payload ? { reason: payload.reason as Reason } : {}),
    ...("hard" in payload ? { hard: payload.hard } : {}),
    ...("reply" in payload && payload.reply !== undefined ? { reply: payload.reply } : {}),
    ...("explanation" in payload && payload.explanation !== undefined
      ? { explanation: payload.explanation }
      : {}),
    ...("conversation" in payload && payload.conversation !== undefined
      ? { conversation: payload.conversation }
      : {}),
  };
}

/**
 * Repeats a step until it is stored. The remote server may have taken the message, so giving up would mean to send it
 * again: while the bus is away or its disk full, the outcome waits here for as long as this process lives.
 */
async function stored(ports: DeliverPorts, step: () => Promise<void>): Promise<void> {
  const untilMs = performance.now() + keepMsMax;
  for (let waitMs = 100; ; waitMs = Math.min(waitMs * 2, 5_000)) {
    try {
      return await step();
    } catch (error) {
      if (performance.now() > untilMs && !isAway(error)) throw error;
      ports.log.warn("mta.outcome-not-stored", { error, waitMs });
      await Bun.sleep(waitMs);
    }
  }
}

const isAway = (error: unknown) =>
  error instanceof Failure && (error.code === "upstream.down" || error.code === "storage.full");

/** Nobody needs the body any more. Left behind by an error, it goes by age. */
function dropBody(ports: DeliverPorts, entry: QueueEntry): void {
  ports.dropBody(entry).catch((error: unknown) => ports.log.debug("mta.body-not-dropped", { error }));
}

function observe(
  { log, metrics }: DeliverPorts,
  entry: QueueEntry,
  outcome: Outcome,
  { event }: Settlement["mark"],
  startedMs: number,
): void {
  const seconds = (performance.now() - startedMs) / 1_000;
  const isInDoubt = outcome.kind === "failed" && outcome.isInDoubt;
  const reason = "reason" in event.payload ? event.payload.reason : "";
  metrics.attempts.inc({ outcome: event.subject.slice("mail.".length), reason });
  metrics.duration.observe(seconds);
  if (isInDoubt) metrics.inDoubt.inc();
  const { deliveryId, attempt } = entry;
  const fields = {
    deliveryId,
    attempt,
    durationMs: Math.round(seconds * 1_000),
    ...(reason === "" ? {} : { reason }),
    ...("conversation" in event.payload ? { mx: event.payload.conversation?.mx } : {}),
    ...("reply" in event.payload ? { code: event.payload.reply?.code } : {}),
  };
  if (isInDoubt) log.warn("mta.in-doubt", fields);
  else log.info(event.subject, fields);
}
