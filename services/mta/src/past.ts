/** What became of messages that may have been here before, read from the events that told it. */
import type { Bus } from "@tyto/bus";
import type { AcceptedMessage, DeliveryId } from "@tyto/contracts";

/** The latest outcome of a delivery. `nextAttemptAt` is there unless the outcome is final. */
export type PastOutcome = { attempt: number; nextAttemptAt?: number };
export type PastOutcomes = ReadonlyMap<DeliveryId, PastOutcome>;

const outcomes = ["mail.delivered", "mail.bounced", "mail.deferred", "mail.suppressed"] as const;
/** Clocks of the machines that accept and deliver may differ by so much. */
const clockSkewMsMax = 60_000;

type Wanted = {
  messageId: string;
  sinceMs: number;
  untilSequence: number;
  found: Map<DeliveryId, PastOutcome>;
  resolve(found: PastOutcomes): void;
  reject(error: unknown): void;
};

/**
 * Looks for outcomes of a message's deliveries among the events up to `untilSequence`. Questions that come while one
 * look is under way share the next: after a crash there are thousands of them.
 */
export function createPast(past: Bus["past"]) {
  let waiting: Wanted[] = [];
  let isLooking = false;

  const look = async (wanted: readonly Wanted[]) => {
    const byMessage = new Map<string, Wanted[]>();
    for (const one of wanted) byMessage.set(one.messageId, [...(byMessage.get(one.messageId) ?? []), one]);
    await past(
      outcomes,
      {
        sinceMs: Math.min(...wanted.map(({ sinceMs }) => sinceMs)),
        untilSequence: Math.max(...wanted.map(({ untilSequence }) => untilSequence)),
      },
      ({ payload }) => {
        // What a report told later is no outcome of an attempt of ours.
        if ("source" in payload && payload.source === "dsn") return;
        const outcome: PastOutcome = {
          attempt: "attempt" in payload ? (payload.attempt ?? 1) : 1,
          ...("nextAttemptAt" in payload ? { nextAttemptAt: payload.nextAttemptAt } : {}),
        };
        for (const { found } of byMessage.get(payload.messageId) ?? []) {
          const known = found.get(payload.deliveryId);
          // Final outcomes come last; of two with the same number, the final one counts.
          const isLater =
            known === undefined ||
            outcome.attempt > known.attempt ||
            (outcome.attempt === known.attempt && outcome.nextAttemptAt === undefined);
          if (isLater) found.set(payload.deliveryId, outcome);
        }
      },
    );
  };

  const lookOn = async () => {
    if (isLooking) return;
    isLooking = true;
    while (waiting.length > 0) {
      const wanted = waiting;
      waiting = [];
      try {
        await look(wanted);
        for (const { found, resolve } of wanted) resolve(found);
      } catch (error) {
        for (const { reject } of wanted) reject(error);
      }
    }
    isLooking = false;
  };

  return (message: Pick<AcceptedMessage, "messageId" | "at">, untilSequence: number): Promise<PastOutcomes> =>
    new Promise((resolve, reject) => {
      const sinceMs = message.at - clockSkewMsMax;
      waiting.push({
        messageId: message.messageId,
        sinceMs,
        untilSequence,
        found: new Map(),
        resolve,
        reject,
      });
      // After this turn: questions asked side by side share the first look already.
      queueMicrotask(() => void lookOn());
    });
}
