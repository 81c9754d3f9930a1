import { type Arrival, done, retry, type Verdict } from "@tyto/bus";
import {
  type AttemptMark,
  type Claim,
  type DeliveryId,
  type MessageId,
  type QueueEntry,
  type StoredEvent,
  suppressionKey,
} from "@tyto/contracts";
import { BoundedMap, type Log } from "@tyto/service";
import type { Attempted, Hold } from "./attempt.ts";
import type { Metrics } from "./metrics.ts";
import { after, type Outcome, type Settlement, settle } from "./outcome.ts";

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
  attempt(entry: QueueEntry, siteWaitMs: number, hold: Hold): Promise<Attempted>;
  putMark(id: DeliveryId, mark: AttemptMark): Promise<void>;
  /** Publishes the event that a mark holds. */
  publish(event: AttemptMark["event"]): Promise<void>;
  later(entry: QueueEntry, atMs: number): Promise<void>;
  dropBody(entry: QueueEntry): Promise<void>;
  /** Is told every outcome when it is decided. */
  see?(entry: QueueEntry, event: StoredEvent): void;
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

/** An entry that cannot be tried at once comes back after about this time; it counts as no attempt. */
const busyMs = 5_000;
/** Entries that wait for the same moment come back within this time of it, not all at once. */
const spreadMsMax = 60_000;
/** Intake has looked at the suppression list; an entry this young is not looked up again. */
const suppressionFreshMs = 30_000;
/** An outcome that cannot be stored is tried to be stored for this long; then the entry comes back and is sent again. */
const keepMsMax = 600_000;

/** How long an entry waits for one of its site's connections before it makes room for others. */
const siteWaitMs = 10_000;
/**
 * The same on the way past the queue. Waiting in memory costs little, so the queue is for those whose site is far behind,
 * and, when many wait already, for all whose site is busy: mail to other sites stands behind them.
 */
const atOnceWaitMs = { few: 30_000, many: 3_000 };
const fewMax = 4_000;
/** First attempts that were made past the queue, remembered by this process. */
const atOnceMax = 50_000;

/** What came of an attempt past the queue. `queue`: nothing was tried, because there was no room. */
export type AtOnce = "settled" | "queue" | "interrupted";

/**
 * Deliveries from start to settled outcome. The order of the last steps makes a crash repeat only what was not stored:
 * the mark (of a queue entry), the event, the next attempt, and then, by the verdict, the acknowledgement.
 */
export function createDeliveries(ports: DeliverPorts) {
  const inHand = new Set<DeliveryId>();
  const sentAtOnce = new BoundedMap<DeliveryId, true>(atOnceMax);

  return {
    isInHand: (id: DeliveryId) => inHand.has(id),

    /** One entry of the queue. */
    async fromQueue(entry: QueueEntry, arrival: Arrival): Promise<Verdict> {
      // The same delivery twice at a time can only be a copy that came back early; it waits for the first one's outcome.
      if (inHand.has(entry.deliveryId)) return retry(busyMs, "the same delivery is in hand");
      if (ports.isWithheld?.(entry.deliveryId)) return retry(busyMs, "it is being changed in the queue");
      if (entry.attempt === 1 && sentAtOnce.has(entry.deliveryId)) {
        ports.metrics.repeated.inc();
        return done;
      }
      inHand.add(entry.deliveryId);
      try {
        return await handle(ports, entry, arrival);
      } finally {
        inHand.delete(entry.deliveryId);
      }
    },

    /** The first attempt of a recipient that nobody has tried before, past the queue. Its event is the mark. */
    async atOnce(entry: QueueEntry): Promise<AtOnce> {
      if (inHand.has(entry.deliveryId)) return "queue";
      inHand.add(entry.deliveryId);
      const startedMs = performance.now();
      let release = () => {};
      try {
        const waitMs = inHand.size <= fewMax ? atOnceWaitMs.few : atOnceWaitMs.many;
        const outcome = await ports.attempt(entry, waitMs, (free) => {
          release = free;
        });
        if (outcome.kind === "busy" || outcome.kind === "wait") return "queue";
        if (outcome.kind === "interrupted") return "interrupted";
        sentAtOnce.set(entry.deliveryId, true);
        await finish(ports, entry, outcome, startedMs, false);
        return "settled";
      } finally {
        inHand.delete(entry.deliveryId);
        release();
      }
    },
  };
}

async function handle(ports: DeliverPorts, entry: QueueEntry, arrival: Arrival): Promise<Verdict> {
  const startedMs = performance.now();
  // Always looked up: an entry can come back with every sign of being new, after a crash of the server or a repeated intake.
  const [mark, isSuppressed] = await Promise.all([
    ports.markOf(entry.deliveryId),
    wasJustQueued(entry, arrival, ports.now()) ? false : ports.isSuppressed(suppressionKey(entry.recipient)),
  ]);
  if (mark !== undefined && isOver(mark, entry)) return repeat(ports, entry, mark);

  if (await isCancelled(ports, entry)) return done;
  if (isSuppressed) return finish(ports, entry, { kind: "suppressed" }, startedMs, true);
  if (ports.now() >= entry.expiresAt) return finish(ports, entry, { kind: "expired" }, startedMs, true);

  let release = () => {};
  try {
    const outcome = await ports.attempt(entry, siteWaitMs, (free) => {
      release = free;
    });
    if (outcome.kind === "busy")
      return retry(busyMs * (1 + ports.random()), "every connection to the site is in use");
    if (outcome.kind === "interrupted") return retry(0, "the service stops");
    if (outcome.kind === "wait") {
      // The same attempt again: nothing was tried. What waits is a schedule on disk, and none of it is in memory.
      const atMs = Math.min(Math.round(outcome.untilMs + spreadMsMax * ports.random()), entry.expiresAt);
      ports.log.debug("mta.entry-waits", { deliveryId: entry.deliveryId, untilMs: atMs, why: outcome.why });
      await stored(ports, () => ports.later(entry, atMs));
      return done;
    }
    return await finish(ports, entry, outcome, startedMs, true);
  } finally {
    release();
  }
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
 * The entry came back although its attempt was over: whatever a crash may have kept from being stored is stored
 * again. All of it is known by name, so that doing it twice is doing it once.
 */
async function repeat(ports: DeliverPorts, entry: QueueEntry, mark: AttemptMark): Promise<Verdict> {
  ports.metrics.repeated.inc();
  ports.log.info("mta.entry-repeated", { deliveryId: entry.deliveryId, attempt: entry.attempt });
  await ports.publish(mark.event);
  const nextMs = nextAttemptOf(mark);
  if (nextMs !== undefined && mark.attempt === entry.attempt)
    await ports.later(after(entry, isDelayNotice(mark)), nextMs);
  return done;
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
  outcome: Outcome,
  startedMs: number,
  isMarked: boolean,
): Promise<Verdict> {
  const { mark, next } = settle(entry, outcome, {
    nowMs: ports.now(),
    random: ports.random,
    firstWaitMs: ports.firstWaitMs,
    delayNoticeMs: ports.delayNoticeMs,
  });
  observe(ports, entry, outcome, mark, startedMs);
  ports.see?.(entry, mark.event);

  if (isMarked) await stored(ports, () => ports.putMark(entry.deliveryId, mark));
  await stored(ports, () => ports.publish(mark.event));
  if (next !== undefined) await stored(ports, () => ports.later(next.entry, next.atMs));
  if (mark.final && entry.recipients === 1) dropBody(ports, entry);
  return done;
}

/**
 * Repeats a step until it is stored. The remote server may have taken the message, so giving up would mean to send it
 * again: while the bus is away, the outcome waits here.
 */
async function stored(ports: DeliverPorts, step: () => Promise<void>): Promise<void> {
  const untilMs = performance.now() + keepMsMax;
  for (let waitMs = 100; ; waitMs = Math.min(waitMs * 2, 5_000)) {
    try {
      return await step();
    } catch (error) {
      if (performance.now() > untilMs) throw error;
      ports.log.warn("mta.outcome-not-stored", { error, waitMs });
      await Bun.sleep(waitMs);
    }
  }
}

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
