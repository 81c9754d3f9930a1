/** Messages of one durable in stream order, many at a time. */
import { Failure, type StoredEvent } from "@tyto/contracts";
import { type Bus, type Consumption, done, reject, retry, type Verdict } from "./bus.ts";
import { createJudge, isDown, type Parts, specOf, toArrival, waitMs } from "./consume.ts";
import { readEvents } from "./contract.ts";
import { createHand } from "./hand.ts";
import { createLoad } from "./load.ts";
import { packEventsMax } from "./packs.ts";
import { type Delivery, openReader } from "./reader.ts";

/** One event of a message. The message is settled with the last of its events. */
type Entry = { delivery: Delivery; event: StoredEvent; message: Shared };
type Shared = { left: number; isRetried: boolean };
type BatchHandler = Parameters<Bus["consumeBatches"]>[2];

/** A batch whose handler threw this often is halved, to find the event that it is about; a single one is dead then. */
const throwsMax = 5;
const throwWaitMsMaxDefault = 10_000;

export function consumeBatches(
  parts: Parts,
  durable: string,
  {
    batchMax,
    waitMs: fillMs,
    flowWaitMs = fillMs,
    throwWaitMsMax = throwWaitMsMaxDefault,
  }: { batchMax: number; waitMs: number; flowWaitMs?: number; throwWaitMsMax?: number },
  handler: BatchHandler,
): Consumption {
  const { link, log, metrics } = parts;
  const { stream, ackPendingMax, ackWaitMs } = specOf(durable);
  metrics.consumes(stream, durable);
  const hand = createHand(link, ackWaitMs);
  const judgeOne = createJudge(parts);
  /** Held in the order of the stream: a redelivery takes its place among the others. */
  let waiting: Entry[] = [];
  let wake = () => {};
  const ending = new AbortController();

  const heldMax = Math.min(ackPendingMax, batchMax * 2);
  const load = createLoad(heldMax, packEventsMax);
  const settle = (delivery: Delivery, message: Shared, verdict: Verdict) => {
    load.remove(1);
    message.left--;
    if (verdict.kind === "retry") message.isRetried = true;
    if (message.left > 0) return;
    hand.settle(delivery, message.isRetried ? retry(0, "one of its events could not be buried") : done);
  };
  const refuse = async (delivery: Delivery, message: Shared, verdict: Verdict) =>
    settle(delivery, message, await judgeOne(delivery, async () => verdict));

  const onDelivery = (delivery: Delivery) => {
    metrics.consumed(durable, delivery.times > 1);
    if (!hand.take(delivery)) return;
    const lines = readEvents(delivery);
    const message: Shared = { left: lines.length, isRetried: false };
    load.add(lines.length);
    for (const [line, { line: data, event }] of lines.entries()) {
      const part = { ...delivery, line, data };
      if (event.ok) waiting.push({ delivery: part, event: event.value, message });
      else void refuse(part, message, reject(`breaks its contract: ${event.problem}`));
    }
    wake();
  };
  const reader = openReader(link, { stream, durable }, log, load.room, onDelivery);

  /** Resolves when `isTrue`, after `ms`, or when the consumption ends. */
  const until = (isTrue: () => boolean, ms?: number) =>
    new Promise<void>((resolve) => {
      const end = () => {
        if (timer) clearTimeout(timer);
        ending.signal.removeEventListener("abort", end);
        wake = () => {};
        resolve();
      };
      const timer = ms === undefined ? undefined : setTimeout(end, ms);
      ending.signal.addEventListener("abort", end);
      wake = () => isTrue() && end();
      if (isTrue() || ending.signal.aborted) end();
    });

  /** The handler's word on each, in their order. */
  const judge = async (batch: readonly Entry[], round: number): Promise<readonly Verdict[]> => {
    const answer = await handler(
      batch.map(({ delivery, event }) => ({
        event,
        arrival: { ...toArrival(delivery), times: delivery.times + round },
      })),
    );
    const verdicts = "kind" in answer ? batch.map(() => answer) : answer;
    if (verdicts.length !== batch.length)
      throw new Failure("internal", `${verdicts.length} verdicts for ${batch.length} events`);
    return verdicts;
  };

  /** Settles a batch. What is to be tried again is waited for here, in hand: the order stays. */
  const decide = async (batch: readonly Entry[]): Promise<void> => {
    let rest = batch;
    let throws = 0;
    for (let round = 0; rest.length > 0; round++) {
      if (ending.signal.aborted) {
        for (const { delivery } of rest) hand.giveBack(delivery);
        return;
      }
      const startedAtMs = Date.now();
      const judged = rest;
      let verdicts: readonly Verdict[];
      try {
        verdicts = await judge(judged, round);
      } catch (error) {
        if (!isDown(error)) throws++;
        log.error("bus.handler-threw", { durable, throws, batch: judged.length, error });
        metrics.verdict(durable, "threw", Date.now() - startedAtMs);
        const problem = error instanceof Error ? error.message : String(error);
        if (throws >= throwsMax && judged.length > 1) {
          const half = judged.length >> 1;
          await decide(judged.slice(0, half));
          return decide(judged.slice(half));
        }
        const verdict =
          throws < throwsMax
            ? retry(waitMs(round + 1, throwWaitMsMax), problem)
            : reject(`the handler threw ${throws} times: ${problem}`);
        verdicts = judged.map(() => verdict);
      }
      const settled = judged.map(async ({ delivery, message }, index) => {
        const verdict = verdicts[index] ?? done;
        if (verdict.kind === "reject") return refuse(delivery, message, verdict);
        if (verdict.kind === "done") settle(delivery, message, verdict);
        return metrics.verdict(durable, verdict.kind, Date.now() - startedAtMs);
      });
      await Promise.all(settled);
      reader.refill();
      rest = judged.filter((_, index) => verdicts[index]?.kind === "retry");
      const waits = verdicts.flatMap((verdict) => (verdict.kind === "retry" ? verdict : []));
      if (waits.length === 0) continue;
      log.warn("bus.batch-waits", { durable, batch: waits.length, reason: waits[0]?.reason });
      await until(() => false, Math.max(...waits.map(({ afterMs }) => afterMs)));
    }
  };

  const isFull = () => waiting.length >= batchMax;
  /** So many within one `waitMs` are a flow. */
  const flowMin = Math.max(2, batchMax / 20);

  const loop = async () => {
    while (!ending.signal.aborted) {
      await until(() => waiting.length > 0);
      await until(isFull, fillMs);
      if (waiting.length >= flowMin && flowWaitMs > fillMs) await until(isFull, flowWaitMs - fillMs);
      if (ending.signal.aborted) break;
      waiting.sort((a, b) => a.delivery.sequence - b.delivery.sequence || a.delivery.line - b.delivery.line);
      const batch = waiting.slice(0, batchMax);
      waiting = waiting.slice(batchMax);
      await decide(batch);
    }
  };
  const looping = loop();

  let stopping: Promise<void> | undefined;
  const stop = async () => {
    await reader.stop();
    ending.abort();
    await looping;
    for (const { delivery } of waiting.splice(0)) hand.giveBack(delivery);
    hand.stop();
  };
  return {
    stop: () => {
      stopping ??= stop();
      return stopping;
    },
  };
}
