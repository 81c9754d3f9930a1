/** What becomes of a message by its handler's verdict, or its throw. */
import { BoundedMap } from "@tyto/bounds";
import { errors, Failure } from "@tyto/contracts";
import { bury } from "./burial.ts";
import { reject, retry, type Verdict } from "./bus.ts";
import type { Parts } from "./parts.ts";
import type { Delivery } from "./reader.ts";

/** A handler that throws this often for one message gives it up to DEAD: with the waits between, after about 12 min. */
const throwsMax = 16;
const throwWaitMsMax = 60_000;
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
