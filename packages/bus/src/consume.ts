/** Handlers at work: each message of a durable goes to one, and its verdict decides what becomes of the message. */
import { BoundedMap } from "@tyto/bounds";
import {
  consumers,
  errors,
  Failure,
  type StoredEvent,
  type StreamName,
  type Subject,
  streams,
  subjects,
} from "@tyto/contracts";
import { bury } from "./burial.ts";
import { type Arrival, type Consumption, done, type Handlers, reject, retry, type Verdict } from "./bus.ts";
import { type Read, readEvents } from "./contract.ts";
import type { Direct } from "./direct/direct.ts";
import { createHand, type Hand } from "./hand.ts";
import type { Link } from "./link.ts";
import { createLoad } from "./load.ts";
import type { BusLog } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import { packEventsMax, weightOf } from "./packs.ts";
import { leaderElected } from "./permissions.ts";
import { type Delivery, openReader, type Reader } from "./reader.ts";
import { createSlots } from "./slots.ts";
import type { Store } from "./store/store.ts";

export type Parts = { link: Link; store: Store; direct: Direct; log: BusLog; metrics: Metrics };

/** A handler that throws this often for one message gives it up to DEAD: with the waits between, after about 12 min. */
const throwsMax = 16;
const throwWaitMsMax = 60_000;
/** Between two questions where a stream ends, while NATS does not answer. */
const askAgainMs = 2_000;
/** Waits while something else is down (an error whose row says retry) are short: the message is innocent. */
const downWaitMsMax = 15_000;
const firstWaitMs = 500;
/** Messages whose handler threw, remembered by this process. */
const thrownMax = 10_000;

export const waitMs = (times: number, msMax: number) =>
  Math.min(msMax, firstWaitMs * 2 ** Math.min(times - 1, 20));

/** Something else is at fault, for a while: the message is not to be given up for it. */
export const isDown = (error: unknown) =>
  error instanceof Failure && error.code !== "internal" && errors[error.code].retry;

/** What becomes of a message whose handler threw: the `throws` count this process's, `times` all deliveries. */
export function afterThrow(error: unknown, { times, throws }: { times: number; throws: number }): Verdict {
  const problem = error instanceof Error ? error.message : String(error);
  if (isDown(error)) return retry(waitMs(times, downWaitMsMax), problem);
  return throws < throwsMax
    ? retry(waitMs(throws, throwWaitMsMax), problem)
    : reject(`the handler threw ${throws} times: ${problem}`);
}

/**
 * Runs a handler and tells what becomes of its message. It never throws: a handler that does is judged, and what is
 * rejected lies in DEAD when the verdict comes back (else it is to be tried again).
 */
export type Judge = (delivery: Delivery, handle: () => Promise<Verdict>) => Promise<Verdict>;

export function createJudge({ store, log, metrics }: Parts): Judge {
  const thrown = new BoundedMap<string, number>(thrownMax);

  const judgeThrow = (delivery: Delivery, error: unknown): Verdict => {
    const { durable, sequence, line, times } = delivery;
    const key = `${durable}.${sequence}.${line}`;
    const throws = (thrown.get(key) ?? 0) + (isDown(error) ? 0 : 1);
    const verdict = afterThrow(error, { times, throws });
    log[isDown(error) ? "warn" : "error"]("bus.handler-threw", { durable, sequence, times, throws, error });
    thrown.delete(key);
    if (verdict.kind === "retry" && throws > 0) thrown.set(key, throws);
    return verdict;
  };

  const toDead = async (delivery: Delivery, reason: string): Promise<Verdict> => {
    const { durable, subject, sequence, times } = delivery;
    try {
      await bury(store, delivery, reason);
      metrics.dead(durable);
      log.error("bus.dead-letter", { durable, subject, sequence, reason });
      return reject(reason);
    } catch (error) {
      log.error("bus.burial-failed", { durable, subject, sequence, reason, error });
      return retry(waitMs(times, downWaitMsMax), "the dead letter could not be stored");
    }
  };

  return async (delivery, handle) => {
    const startedAtMs = Date.now();
    let verdict: Verdict;
    let kind: Verdict["kind"] | "threw";
    try {
      verdict = await handle();
      kind = verdict.kind;
    } catch (error) {
      verdict = judgeThrow(delivery, error);
      kind = "threw";
    }
    metrics.verdict(delivery.durable, kind, Date.now() - startedAtMs);
    return verdict.kind === "reject" ? toDead(delivery, verdict.reason) : verdict;
  };
}

export const toArrival = ({ times, sequence, storedAtMs }: Delivery): Arrival => ({
  times,
  sequence,
  storedAtMs,
});

export function specOf(durable: string) {
  const spec = consumers[durable];
  if (spec === undefined) throw new Failure("internal", `no contract declares the durable ${durable}`);
  return spec;
}

const concurrencyDefault = 16;
/** Messages of which some events are over and others are to be tried again; forgotten ones are handled as a whole again. */
const overMax = 10_000;

export function consume<S extends Subject>(
  parts: Parts,
  durable: string,
  handlers: Handlers<S>,
  {
    concurrency = concurrencyDefault,
    tellsEarlier = false,
  }: { concurrency?: number; tellsEarlier?: boolean } = {},
): Consumption {
  const { stream, filter, ackPendingMax } = specOf(durable);
  const isConsumed = (subject: string) =>
    filter.some((wanted) =>
      wanted.endsWith(">") ? subject.startsWith(wanted.slice(0, -1)) : subject === wanted,
    );
  const unhandled = subjects.filter((subject) => isConsumed(subject) && !Object.hasOwn(handlers, subject));
  if (unhandled.length > 0)
    throw new Failure("internal", `durable ${durable} has no handler for ${unhandled.join(", ")}`);

  // The whole stream: what came of a message is stored behind it, under other subjects.
  const lastSequence = () => parts.direct.lastSequence(stream, streams[stream].subjects);
  const earlier = tellsEarlier ? watchEarlier(parts, stream, [durable], lastSequence) : undefined;

  const handleOne = async (delivery: Delivery, event: Read<StoredEvent>): Promise<Verdict> => {
    if (!event.ok) return reject(`breaks its contract: ${event.problem}`);
    const { subject, payload } = event.value;
    if (!Object.hasOwn(handlers, subject)) return reject(`${durable} has no handler for ${subject}`);
    // The key was just found among the handlers, and the payload was parsed by this very subject's schema.
    const handler = handlers[subject as S] as (payload: unknown, arrival: Arrival) => Promise<Verdict>;
    return handler(payload, earlier?.arrivalOf(delivery) ?? toArrival(delivery));
  };

  const judge = createJudge(parts);
  /** Lines that are over, of messages that come again because of others. */
  const over = new BoundedMap<number, Set<number>>(overMax);
  const handle = async (delivery: Delivery): Promise<Verdict> => {
    const lines = readEvents(delivery);
    const [only] = lines;
    if (lines.length === 1 && only !== undefined) return handleOne(delivery, only.event);
    const isOver = over.get(delivery.sequence) ?? new Set();
    const verdicts = await Promise.all(
      lines.map(async ({ line: data, event }, line): Promise<Verdict> => {
        if (isOver.has(line)) return done;
        const verdict = await judge({ ...delivery, line, data }, () => handleOne(delivery, event));
        if (verdict.kind !== "retry") isOver.add(line);
        return verdict;
      }),
    );
    const waits = verdicts.filter((verdict) => verdict.kind === "retry");
    const [first] = waits;
    over.delete(delivery.sequence);
    if (first === undefined) return done;
    over.set(delivery.sequence, isOver);
    return retry(Math.max(...waits.map(({ afterMs }) => afterMs)), first.reason);
  };

  const consumption = consumeLanes(parts, [{ stream, durable, places: concurrency }], {
    concurrency,
    // One event waits for each that is handled, so that no handler waits for the network.
    heldMoreMax: Math.max(0, Math.min(ackPendingMax, concurrency * 2) - concurrency),
    weightOf,
    handle,
  });
  return {
    async stop() {
      await consumption.stop();
      earlier?.stop();
    },
  };
}

/**
 * Tells which messages may have been handled before. A crash of the server can make it forget deliveries and
 * acknowledgements, so after each (re)connect everything that is stored already is under suspicion; in a cluster, also
 * when the durable gets another leader, which may not have heard of the last deliveries of the one before.
 */
export function watchEarlier(
  { link, direct, log }: Parts,
  stream: StreamName,
  durables: readonly string[],
  lastSequence: () => Promise<number>,
) {
  let knownUntil = Number.POSITIVE_INFINITY;
  let generation = 0;
  const ask = async () => {
    const own = ++generation;
    knownUntil = Number.POSITIVE_INFINITY;
    while (own === generation) {
      try {
        await link.whenConnected(Date.now() + askAgainMs);
        const last = await lastSequence();
        if (own === generation) knownUntil = last;
        return;
      } catch (error) {
        if (own === generation) log.warn("bus.last-sequence-unknown", { stream, error });
        await new Promise((resolve) => setTimeout(resolve, askAgainMs));
      }
    }
  };
  const forget = link.onReconnect(() => void ask());
  const elections = direct.isReplicated()
    ? durables.map((durable) =>
        link.nats.subscribe(leaderElected(stream, durable), { callback: () => void ask() }),
      )
    : [];
  void ask();
  const until = ({ times, sequence }: Delivery): number | undefined => {
    if (times > 1) return Number.POSITIVE_INFINITY;
    return sequence > knownUntil ? undefined : knownUntil;
  };
  return {
    arrivalOf(delivery: Delivery): Arrival {
      const earlierUntil = until(delivery);
      return { ...toArrival(delivery), ...(earlierUntil === undefined ? {} : { earlierUntil }) };
    },
    stop() {
      generation++;
      forget();
      if (!link.nats.isClosed()) for (const election of elections) election.unsubscribe();
    },
  };
}

/** Several durables that share one bound: each is a lane, which takes up to `places` of the places. */
export function consumeLanes(
  parts: Parts,
  durables: readonly { stream: string; durable: string; places: number }[],
  options: {
    concurrency: number;
    /** Events held of a lane beyond those that are handled. */
    heldMoreMax?: number;
    /** How many events a message holds; bounds and places count events. */
    weightOf: (delivery: Delivery) => number;
    /**
     * Retries wait here instead of on the server: for a stream that is purged, because a purge makes the server forget
     * what it was about to deliver again, until `ackWaitMs` has passed.
     */
    retriesHere?: boolean;
    /** `settled` tells of events whose places others may have before the message is handled. */
    handle: (delivery: Delivery, settled: (events: number) => void) => Promise<Verdict>;
  },
): Consumption {
  const { link, log, metrics } = parts;
  const { concurrency, heldMoreMax = 0, weightOf, retriesHere = false, handle } = options;
  const judge = createJudge(parts);
  const slots = createSlots(
    concurrency,
    durables.map(({ places }) => places),
  );
  const lanes: { reader: Reader; hand: Hand; unbegun: Map<number, Delivery> }[] = [];
  const ending = new AbortController();

  durables.forEach(({ stream, durable, places }, index) => {
    metrics.consumes(stream, durable);
    const hand = createHand(link, specOf(durable).ackWaitMs);
    const unbegun = new Map<number, Delivery>();
    const load = createLoad(places + heldMoreMax, packEventsMax);
    const enqueue = (delivery: Delivery, weight: number) => {
      if (ending.signal.aborted) return hand.giveBack(delivery);
      slots.push(index, {
        weight: Math.min(weight, places),
        run: (free) => work(delivery, weight, free),
      });
    };
    const work = async (delivery: Delivery, weight: number, free: (places: number) => void) => {
      unbegun.delete(delivery.sequence);
      let held = weight;
      const settled = (events: number) => {
        const gone = Math.min(events, held - 1);
        if (gone === 0) return;
        held -= gone;
        load.remove(gone);
        free(gone);
        reader.refill();
      };
      const verdict = await judge(delivery, () => handle(delivery, settled));
      if (verdict.kind === "retry" && retriesHere) {
        const again = { ...delivery, times: delivery.times + 1 };
        unbegun.set(delivery.sequence, again);
        after(verdict.afterMs, ending.signal, () => enqueue(again, held));
      } else {
        load.remove(held);
        hand.settle(delivery, verdict);
      }
      reader.refill();
    };
    const onDelivery = (delivery: Delivery) => {
      metrics.consumed(durable, delivery.times > 1);
      if (!hand.take(delivery)) return;
      const weight = weightOf(delivery);
      load.add(weight);
      unbegun.set(delivery.sequence, delivery);
      enqueue(delivery, weight);
    };
    const reader = openReader(link, { stream, durable }, log, load.room, onDelivery);
    lanes.push({ reader, hand, unbegun });
  });

  let stopping: Promise<void> | undefined;
  const stop = async () => {
    await Promise.all(lanes.map(({ reader }) => reader.stop()));
    ending.abort();
    slots.clear();
    for (const { hand, unbegun } of lanes) {
      for (const delivery of unbegun.values()) hand.giveBack(delivery);
      unbegun.clear();
    }
    await slots.whenIdle();
    for (const { hand, unbegun } of lanes) {
      for (const delivery of unbegun.values()) hand.giveBack(delivery);
      hand.stop();
    }
  };
  return {
    stop: () => {
      stopping ??= stop();
      return stopping;
    },
  };
}

/** Calls back after `ms`, unless the signal comes first. */
function after(ms: number, signal: AbortSignal, callback: () => void): void {
  const timer = setTimeout(() => {
    signal.removeEventListener("abort", cancel);
    callback();
  }, ms);
  const cancel = () => clearTimeout(timer);
  if (signal.aborted) cancel();
  else signal.addEventListener("abort", cancel, { once: true });
}
