/** Handlers at work: each event of a durable goes to one, and its verdict decides what becomes of the event. */
import { BoundedMap } from "@tyto/bounds";
import { Failure, type StoredEvent, type Subject, streams, subjects } from "@tyto/contracts";
import {
  type Arrival,
  type Bus,
  type Consumption,
  done,
  type Handlers,
  reject,
  retry,
  type Verdict,
} from "./bus.ts";
import { type Read, readEvents } from "./contract.ts";
import { toArrival, watchEarlier } from "./earlier.ts";
import { createJudge, type Judge } from "./judging.ts";
import { consumeLanes } from "./lanes.ts";
import { packBytesMax, packEventsMax, weightOf } from "./packs.ts";
import { type Parts, specOf } from "./parts.ts";
import type { Delivery } from "./reader.ts";

const concurrencyDefault = 16;
/** Messages of which some events are over and others are to be tried again; forgotten ones are handled as a whole again. */
const overMax = 10_000;

type Options = NonNullable<Parameters<Bus["consume"]>[2]>;

export function consume<S extends Subject>(
  parts: Parts,
  durable: string,
  handlers: Handlers<S>,
  { concurrency = concurrencyDefault, bytesMax, tellsEarlier = false }: Options = {},
): Consumption {
  const { stream, ackPendingMax } = specOf(durable);
  refuseUnhandled(durable, handlers);
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

  const bytesOfPlace = bytesMax === undefined ? Number.POSITIVE_INFINITY : bytesMax / concurrency;
  const consumption = consumeLanes(parts, [{ stream, durable, places: concurrency }], {
    concurrency,
    // One event waits for each that is handled, so that no handler waits for the network.
    heldMoreMax: Math.max(0, Math.min(ackPendingMax, concurrency * 2) - concurrency),
    weightOf: (delivery) => Math.max(weightOf(delivery), Math.ceil(delivery.data.length / bytesOfPlace)),
    weightMax: Math.max(packEventsMax, Math.ceil(packBytesMax / bytesOfPlace)),
    handle: eachLine(createJudge(parts), handleOne),
  });
  return {
    async stop() {
      await consumption.stop();
      earlier?.stop();
    },
  };
}

/** Throws Failure `internal`: an event without a handler would go to DEAD. */
function refuseUnhandled(durable: string, handlers: object): void {
  const { filter } = specOf(durable);
  const isConsumed = (subject: string) =>
    filter.some((wanted) =>
      wanted.endsWith(">") ? subject.startsWith(wanted.slice(0, -1)) : subject === wanted,
    );
  const unhandled = subjects.filter((subject) => isConsumed(subject) && !Object.hasOwn(handlers, subject));
  if (unhandled.length > 0)
    throw new Failure("internal", `durable ${durable} has no handler for ${unhandled.join(", ")}`);
}

/** Handles the events of a message one by one; those that are over are left alone when it comes again because of others. */
function eachLine(
  judge: Judge,
  handleOne: (delivery: Delivery, event: Read<StoredEvent>) => Promise<Verdict>,
): (delivery: Delivery) => Promise<Verdict> {
  const over = new BoundedMap<number, Set<number>>(overMax);
  return async (delivery) => {
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
}
