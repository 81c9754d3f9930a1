/**
 * The messages of one durable that this process holds: it keeps the server from giving them to others, turns verdicts
 * into acknowledgements, and does not hand over the same message twice.
 */
import { BoundedMap } from "@tyto/bounds";
import type { Verdict } from "./bus.ts";
import type { Link } from "./link.ts";
import type { Delivery } from "./reader.ts";

export type Hand = {
  /** False for a message that is in hand, or was settled here: a lost acknowledgement brought it back. */
  take(delivery: Delivery): boolean;
  settle(delivery: Delivery, verdict: Verdict): void;
  /** Gives back what was not begun, so that another process gets it at once. */
  giveBack(delivery: Delivery): void;
  size(): number;
  stop(): void;
};

/** A longer wait would block places of `ackPendingMax`; long waits are schedules. */
const retryMsMax = 60_000;
/** Settled messages remembered: more than can be unacknowledged at once. */
const settledMax = 4_096;

export function createHand(link: Link, ackWaitMs: number): Hand {
  const held = new Map<number, { reply: string; heardAtMs: number }>();
  /** Sequence → time of storing; a sequence that came again after the server lost its store is another message. */
  const settled = new BoundedMap<number, number>(settledMax);
  const heartbeatMs = ackWaitMs / 3;

  const heartbeat = setInterval(() => {
    const nowMs = Date.now();
    for (const entry of held.values())
      if (nowMs - entry.heardAtMs >= heartbeatMs) {
        entry.heardAtMs = nowMs;
        link.say(entry.reply, "+WPI");
      }
  }, heartbeatMs / 4);
  heartbeat.unref();

  const release = ({ sequence, reply }: Delivery): string => {
    const latest = held.get(sequence)?.reply ?? reply;
    held.delete(sequence);
    return latest;
  };

  return {
    take(delivery) {
      const { sequence, reply, storedAtMs } = delivery;
      if (settled.get(sequence) === storedAtMs) {
        link.say(reply, "+ACK");
        return false;
      }
      const isRepeat = held.has(sequence);
      held.set(sequence, { reply, heardAtMs: Date.now() });
      return !isRepeat;
    },
    settle(delivery, verdict) {
      const reply = release(delivery);
      if (verdict.kind === "retry") {
        const delayMs = Math.max(0, Math.min(retryMsMax, verdict.afterMs));
        link.say(reply, `-NAK ${JSON.stringify({ delay: Math.round(delayMs * 1e6) })}`);
        return;
      }
      settled.set(delivery.sequence, delivery.storedAtMs);
      link.say(reply, verdict.kind === "done" ? "+ACK" : "+TERM");
    },
    giveBack: (delivery) => link.say(release(delivery), "-NAK"),
    size: () => held.size,
    stop: () => clearInterval(heartbeat),
  };
}
