import { type Arrival, done, retry, type Verdict } from "@tyto/bus";
import {
  type AttemptMark,
  type Claim,
  type DeliveryId,
  type MessageId,
  type QueueEntry,
  suppressionKey,
} from "@tyto/contracts";
import type { Log } from "@tyto/service";
import type { Attempted } from "./attempt.ts";
import type { Metrics } from "./metrics.ts";
import { type Outcome, type Settlement, settle } from "./outcome.ts";

/** The outside world, as delivering needs it. */
export type DeliverPorts = {
  markOf(id: DeliveryId): Promise<AttemptMark | undefined>;
  isSuppressed(key: string): Promise<boolean>;
  /** The claim of the message: ours if nobody was before us. */
  claim(messageId: MessageId, claim: Claim): Promise<Claim>;
  attempt(entry: QueueEntry): Promise<Attempted>;
  putMark(id: DeliveryId, mark: AttemptMark): Promise<void>;
  /** Publishes the event that a mark holds. */
  publish(event: AttemptMark["event"]): Promise<void>;
  later(entry: QueueEntry, atMs: number): Promise<void>;
  dropBody(entry: QueueEntry): Promise<void>;
  now: () => number;
  random: () => number;
  firstWaitMs: number;
  log: Log;
  metrics: Pick<Metrics, "attempts" | "inDoubt" | "repeated" | "duration">;
};

/** An entry that cannot be tried at once comes back after about this time; it counts as no attempt. */
const busyMs = 5_000;
/** Intake has looked at the suppression list; an entry this young is not looked up again. */
const suppressionFreshMs = 30_000;
/** An outcome that cannot be stored is tried to be stored for this long; then the entry comes back and is sent again. */
const keepMsMax = 600_000;

/**
 * One queue entry, from taking it to its settled outcome. The order of the last steps makes a crash repeat only what was not
 * stored: the mark, the event, the next attempt, and then (by the verdict) the acknowledgement.
 */
export function deliver(ports: DeliverPorts) {
  const inHand = new Set<DeliveryId>();

  return async (entry: QueueEntry, arrival: Arrival): Promise<Verdict> => {
    // The same delivery twice at a time can only be a copy that came back early; it waits for the first one's mark.
    if (inHand.has(entry.deliveryId)) return retry(busyMs, "the same delivery is in hand");
    inHand.add(entry.deliveryId);
    try {
      return await handle(ports, entry, arrival);
    } finally {
      inHand.delete(entry.deliveryId);
    }
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
  if (isSuppressed) return finish(ports, entry, { kind: "suppressed" }, startedMs);
  if (ports.now() >= entry.expiresAt) return finish(ports, entry, { kind: "expired" }, startedMs);

  const outcome = await ports.attempt(entry);
  switch (outcome.kind) {
    case "busy":
      return retry(busyMs * (1 + ports.random()), "every connection to the site is in use");
    case "interrupted":
      return retry(0, "the service stops");
    default:
      return finish(ports, entry, outcome, startedMs);
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
    await ports.later({ ...entry, attempt: entry.attempt + 1 }, nextMs);
  return done;
}

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
): Promise<Verdict> {
  const { mark, next } = settle(entry, outcome, {
    nowMs: ports.now(),
    random: ports.random,
    firstWaitMs: ports.firstWaitMs,
  });
  observe(ports, entry, outcome, mark, startedMs);

  await stored(ports, () => ports.putMark(entry.deliveryId, mark));
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
