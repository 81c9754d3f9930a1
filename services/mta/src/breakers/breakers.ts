import { type BreakerRecord, type BreakerState, type Hold, phrase, type QueueEntry } from "@tyto/contracts";
import { isSendersDoing, type Report } from "../feedback.ts";
import { campaignId } from "../holds/holds.ts";
import type { Leave, Observation } from "../observation.ts";
import { type Breaker, isOpen, isTrying, ratesOf, trialsMax, tryLeave } from "./breaker.ts";
import { Counting, type CountingPorts } from "./counting.ts";
import type { JointBreaker } from "./joint.ts";
import type { Fate } from "./window.ts";

export type BreakerPorts = CountingPorts & {
  /** From 0 up to 1. */
  random: () => number;
  /** How many of `max` trials are this process's now; without it, all of them. */
  trialsOf?(key: TrialKey, max: number): number;
  /** How many trials this process has use for. */
  onTrialsWanted?(key: TrialKey, wanted: number): void;
};

/** Names the trials of a breaker among the shares of limits. No address of ours has such a name. */
export type TrialKey = { egress: `trial:${BreakerRecord["scope"]}`; site: string };
export const isTrialKey = (key: { egress: string; site: string }): key is TrialKey =>
  key.egress === "trial:organization" || key.egress === "trial:campaign";

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
  /** Messages of this process that are on trial now. */
  trialsUnderWay(key: TrialKey): number;
  /** The process ends, and with it what it had on trial. */
  endTrials(): void;
  /** What the bucket holds of one, from its watch. */
  restore(record: BreakerRecord, revision: number): void;
  /** Stores what was counted since the last time; to be called every second, one call at a time. */
  save(): Promise<void>;
};

const trialWaitMs = 30_000;
/** Who was asked for no trial for so long has no mail for one: others may have its part. */
const trialIdleMs = 3 * trialWaitMs;

/**
 * Bounce and complaint rates per organisation and campaign, over all processes; too much of either holds sending. What is counted
 * stands in records that all processes change in turns, so that many of them stop where one would.
 */
export function createBreakers(ports: BreakerPorts): Breakers {
  const { now, random } = ports;
  const counting = new Counting(ports);
  const trials = new Trials(ports);

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
        if (found === undefined || trials.tryLeave(found, deliveryId, nowMs) === "go") continue;
        return {
          kind: "wait",
          untilMs: Math.round(nowMs + trialWaitMs * (1 + random())),
          why: `the ${scope} ${id} was held: a few messages at a time find out whether all is well now`,
        };
      }
      return { kind: "go" };
    },

    released({ scope, id, site, by, untilMs }) {
      // At one site alone only people and rules hold.
      if (site !== undefined) return;
      if (scope !== "organization" && scope !== "campaign") return;
      const found = counting.get(scope, id);
      const isLifted = by.startsWith("breaker:") && (untilMs ?? 0) > now();
      if (found === undefined || !isLifted) return;
      found.close();
      counting.touch(found);
    },

    trialsUnderWay({ egress, site }) {
      const found = counting.get(egress === "trial:campaign" ? "campaign" : "organization", site);
      return found === undefined ? 0 : trialsUnderWay(found.breaker, now());
    },
    endTrials() {
      for (const { breaker } of counting.all()) breaker.trials.clear();
    },
    status: () => counting.all().map((joint) => stateOf(joint, now())),
    restore: (record, revision) => counting.restore(record, revision),
    async save() {
      trials.forgetIdle(now());
      await counting.save();
    },
  };
}

/** The trials that this process may make: with all others together no more than one process alone. */
class Trials {
  readonly #ports: BreakerPorts;
  readonly #asked = new Map<JointBreaker, { key: TrialKey; askedMs: number }>();

  constructor(ports: BreakerPorts) {
    this.#ports = ports;
  }

  tryLeave(joint: JointBreaker, deliveryId: string, nowMs: number): "go" | "wait" {
    return tryLeave(joint.breaker, deliveryId, nowMs, () => this.#part(joint, nowMs));
  }

  #part(joint: JointBreaker, nowMs: number): number {
    const { trialsOf, onTrialsWanted } = this.#ports;
    const key = this.#asked.get(joint)?.key ?? { egress: `trial:${joint.scope}` as const, site: joint.id };
    this.#asked.set(joint, { key, askedMs: nowMs });
    const part = trialsOf?.(key, trialsMax) ?? trialsMax;
    onTrialsWanted?.(key, trialsMax);
    return part;
  }

  forgetIdle(nowMs: number): void {
    for (const [joint, { key, askedMs }] of this.#asked) {
      if (isTrying(joint.breaker, nowMs) && nowMs - askedMs < trialIdleMs) continue;
      this.#ports.onTrialsWanted?.(key, trialsUnderWay(joint.breaker, nowMs));
      if (joint.breaker.trials.size === 0) this.#asked.delete(joint);
    }
  }
}

function trialsUnderWay({ trials }: Breaker, nowMs: number): number {
  let count = 0;
  for (const untilMs of trials.values()) if (untilMs > nowMs) count++;
  return count;
}

const stateOf = ({ scope, id, breaker }: JointBreaker, nowMs: number): BreakerState => ({
  scope,
  id,
  state: isOpen(breaker, nowMs) ? "open" : "closed",
  ...(breaker.isOnTrial && !isOpen(breaker, nowMs) ? { why: phrase("breaker.trial", {}) } : {}),
  ...ratesOf(breaker),
  ...(isOpen(breaker, nowMs) ? { sinceMs: breaker.openedAtMs } : {}),
});
