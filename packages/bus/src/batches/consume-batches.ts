/** Messages of one durable in stream order, many at a time. */

import type { Bus, Consumption } from "../bus.ts";
import { reject } from "../bus.ts";
import { readEvents } from "../contract.ts";
import { createHand } from "../hand.ts";
import { createJudge } from "../judging.ts";
import { createLoad } from "../load.ts";
import { packEventsMax } from "../packs.ts";
import { type Parts, specOf } from "../parts.ts";
import { type Delivery, openReader } from "../reader.ts";
import { type BatchHandler, Decisions } from "./decisions.ts";
import { Settling } from "./settling.ts";
import { Waiting } from "./waiting.ts";

type Options = Parameters<Bus["consumeBatches"]>[1];

const throwWaitMsMaxDefault = 10_000;

export function consumeBatches(
  parts: Parts,
  durable: string,
  { batchMax, waitMs, flowWaitMs = waitMs, throwWaitMsMax = throwWaitMsMaxDefault }: Options,
  handler: BatchHandler,
): Consumption {
  const { link, log, metrics } = parts;
  const { stream, ackPendingMax, ackWaitMs } = specOf(durable);
  metrics.consumes(stream, durable);
  const ending = new AbortController();
  const hand = createHand(link, ackWaitMs);
  const load = createLoad(Math.min(ackPendingMax, batchMax * 2), packEventsMax);
  const waiting = new Waiting(ending.signal);
  const settling = new Settling(hand, load, createJudge(parts));

  const onDelivery = (delivery: Delivery) => {
    metrics.consumed(durable, delivery.times > 1);
    if (!hand.take(delivery)) return;
    const lines = readEvents(delivery);
    const message = { left: lines.length, isRetried: false };
    load.add(lines.length);
    for (const [line, { line: data, event }] of lines.entries()) {
      const part = { ...delivery, line, data };
      if (event.ok) waiting.add({ delivery: part, event: event.value, message });
      else void settling.refuse(part, message, reject(`breaks its contract: ${event.problem}`));
    }
    waiting.wake();
  };
  const reader = openReader(link, { stream, durable }, log, load.room, onDelivery);
  const decisions = new Decisions({
    ...{ durable, handler, throwWaitMsMax, log, metrics, settling, waiting, ending: ending.signal },
    refill: reader.refill,
  });

  const loop = async () => {
    while (!ending.signal.aborted) {
      await waiting.whenBatch({ batchMax, waitMs, flowWaitMs });
      if (!ending.signal.aborted) await decisions.decide(waiting.take(batchMax));
    }
  };
  const looping = loop();

  let stopping: Promise<void> | undefined;
  const stop = async () => {
    await reader.stop();
    ending.abort();
    await looping;
    settling.giveBack(waiting.take(Number.POSITIVE_INFINITY));
    hand.stop();
  };
  return {
    stop: () => {
      stopping ??= stop();
      return stopping;
    },
  };
}
