import type { BreakerRecord, BreakerState, Hold, QueueEntry } from "@tyto/contracts";
import { isSendersDoing, type Report } from "../feedback.ts";
import { campaignId } from "../holds/holds.ts";
import type { Leave, Observation } from "../observation.ts";
import { isOpen, ratesOf, tryLeave } from "./breaker.ts";
import { Counting, type CountingPorts } from "./counting.ts";
import type { JointBreaker } from "./joint.ts";
import type { Fate } from "./window.ts";

export type BreakerPorts = CountingPorts & {
  /** From 0 up to 1. */
  random: () => number;
};

export type Breakers = {
  see(observation: Observation): void;
  /**
   * What came back later: complaints, and bounces of mail that had been taken. Resolves when it is stored, which the next `save` does:
   * true, or false when it has to be told again. A report counts once, however often and to whichever process it is told.
   */
  hear(report: Report): Promise<boolean>;
  /** After a hold, few messages at a time find out whether all is well. The hold itself is holds.leave. */
  leave(entry: Pick<QueueEntry, "deliveryId" | "organizationId" | "campaign">): Leave;
  /** A hold ended; one of ours that a person lifted closes its breaker. */
  released(hold: Hold): void;
  status(): BreakerState[];
  /** What the bucket holds of one, from its watch. */
  restore(record: BreakerRecord, revision: number): void;
  /** Stores what was counted since the last time; to be called every second, one call at a time. */
  save(): Promise<void>;
};

const trialWaitMs = 30_000;

/**
 * Bounce and complaint rates per organisation and campaign, over all processes; too much of either holds sending. What is counted
 * stands in records that all processes change in turns, so that many of them stop where one would.
 */
export function createBreakers(ports: BreakerPorts): Breakers {
  const { now, random } = ports;
  const counting = new Counting(ports);

  return {
    see({ outcome, entry, reason, hard, madeBy }) {
      if (outcome === "deferred" || madeBy !== undefined) return;
      const breakers = counting.of(entry);
      for (const { breaker } of breakers) breaker.trials.delete(entry.deliveryId);
      const isNobody = outcome === "bounced" && hard === true && isSendersDoing(reason);
      // A full mailbox, a network, a receiver's whim: neither well nor ill of the sender.
      if (outcome === "bounced" && !isNobody) return;
      if (outcome === "delivered") counting.senders.sent(entry.messageId, entry);
      const fate: Fate = isNobody ? "bounced" : "delivered";
      counting.add(breakers, (joint, nowMs) => joint.count(fate, nowMs));
    },

    async hear(report) {
      const breakers = counting.of(counting.senders.of(report));
      counting.add(breakers, (joint, nowMs) => joint.hear(report, nowMs));
      const stored = breakers.map((joint) => joint.whenStored());
      for (const joint of breakers) counting.touch(joint);
      return (await Promise.all(stored)).every(Boolean);
    },

    leave({ deliveryId, organizationId, campaign }) {
      const nowMs = now();
      for (const [scope, id] of [
        ["organization", organizationId],
        ["campaign", campaign === undefined ? undefined : campaignId(organizationId, campaign)],
      ] as const) {
        const found = id === undefined ? undefined : counting.get(scope, id);
        if (found === undefined || tryLeave(found.breaker, deliveryId, nowMs) === "go") continue;
        return {
          kind: "wait",
          untilMs: Math.round(nowMs + trialWaitMs * (1 + random())),
          why: `the ${scope} ${id} was held: a few messages at a time find out whether all is well now`,
        };
      }
      return { kind: "go" };
    },

    released({ scope, id, by, untilMs }) {
      if (scope !== "organization" && scope !== "campaign") return;
      const found = counting.get(scope, id);
      const isLifted = by.startsWith("breaker:") && (untilMs ?? 0) > now();
      if (found === undefined || !isLifted) return;
      found.close();
      counting.touch(found);
    },

    status: () => counting.all().map((joint) => stateOf(joint, now())),
    restore: (record, revision) => counting.restore(record, revision),
    save: () => counting.save(),
  };
}

const stateOf = ({ scope, id, breaker }: JointBreaker, nowMs: number): BreakerState => ({
  scope,
  id,
  state: isOpen(breaker, nowMs) ? "open" : "closed",
  ...(breaker.isOnTrial && !isOpen(breaker, nowMs) ? { why: "on trial after a hold" } : {}),
  ...ratesOf(breaker),
  ...(isOpen(breaker, nowMs) ? { sinceMs: breaker.openedAtMs } : {}),
});
