import {
  type BreakerRecord,
  type BreakerState,
  bucketKey,
  defaultOrganization,
  type Hold,
  type OrganizationId,
  type Payload,
  type QueueEntry,
  reasons,
} from "@tyto/contracts";
import { BoundedMap, type Log } from "@tyto/service";
import { campaignId, type NewHold } from "../holds/holds.ts";
import type { Leave, Observation } from "../observation.ts";
import { type Breaker, close, forget, judge, newBreaker, ratesOf, tryLeave } from "./breaker.ts";
import { limits } from "./limits.ts";
import { type Fate, newWindow } from "./window.ts";

type Scope = BreakerRecord["scope"];
type Sender = { organizationId: OrganizationId; campaign?: string };

export type BreakerPorts = {
  /** Stops sending; holds.hold. */
  hold(hold: NewHold): Promise<unknown>;
  now: () => number;
  /** From 0 up to 1. */
  random: () => number;
  log: Pick<Log, "warn">;
};

export type Breakers = {
  see(observation: Observation): void;
  /** What came back later: complaints, and bounces of mail that had been taken. */
  hear(event: Feedback): void;
  /** After a hold, few messages at a time find out whether all is well. The hold itself is holds.leave. */
  leave(entry: Pick<QueueEntry, "deliveryId" | "organizationId" | "campaign">): Leave;
  /** A hold ended; one of ours that a person lifted closes its breaker. */
  released(hold: Hold): void;
  status(): BreakerState[];
  /** Records that changed since the last call, at most `max`. */
  changes(max: number): { key: string; record: BreakerRecord }[];
  restore(record: BreakerRecord): void;
};

export type Feedback = { complained: Payload<"mail.complained"> } | { bounced: Payload<"mail.bounced"> };

/** Organisations and campaigns that are counted; the one that sent longest ago is forgotten first. */
const breakersMax = 5_000;
/** Messages whose sender is remembered for what comes back: beyond these only what the event says counts. */
const sendersMax = 100_000;
/** Below this a report's reason is a guess, which must stop nobody. */
const confidenceMin = 0.5;
const trialWaitMs = 30_000;

type Counted = { scope: Scope; id: string; organizationId: OrganizationId; breaker: Breaker };

/** Bounce and complaint rates per organisation and campaign; too much of either holds sending. */
export function createBreakers({ hold, now, random, log }: BreakerPorts): Breakers {
  const counted = new BoundedMap<string, Counted>(breakersMax);
  const senders = new BoundedMap<string, Sender>(sendersMax);
  const touched = new Set<string>();

  const find = (scope: Scope, id: string, organizationId: OrganizationId): Counted => {
    const key = keyOf(scope, id);
    const known = counted.get(key) ?? { scope, id, organizationId, breaker: newBreaker() };
    counted.set(key, known);
    return known;
  };
  const breakersOf = ({ organizationId, campaign }: Sender) => [
    ...(campaign === undefined
      ? []
      : [find("campaign", campaignId(organizationId, campaign), organizationId)]),
    find("organization", organizationId, organizationId),
  ];

  /**
   * The campaign is judged before its organisation. When it is stopped, the organisation's count starts anew: else its other mail,
   * the transactional too, would stop with the one bad list that is stopped already.
   */
  const count = (sender: Sender, fate: Fate, deliveryId: string | undefined) => {
    const nowMs = now();
    let isStopped = false;
    for (const { scope, id, breaker } of breakersOf(sender)) {
      touched.add(keyOf(scope, id));
      if (deliveryId !== undefined) breaker.trials.delete(deliveryId);
      if (isStopped) {
        forget(breaker);
        continue;
      }
      const opening = judge(breaker, fate, nowMs);
      if (opening === undefined) continue;
      isStopped = true;
      const { kind, why, forMs } = opening;
      hold({ scope, id, why, by: `breaker:${kind}`, untilMs: nowMs + forMs }).catch((error: unknown) =>
        log.warn("mta.breaker-not-stored", { scope, id, why, error }),
      );
    }
  };

  return {
    see({ outcome, entry, reason, hard, madeBy }) {
      if (outcome === "deferred" || madeBy !== undefined) return;
      const sender: Sender = {
        organizationId: entry.organizationId,
        ...(entry.campaign === undefined ? {} : { campaign: entry.campaign }),
      };
      const isNobody = outcome === "bounced" && hard === true && isSendersDoing(reason);
      // A full mailbox, a network, a receiver's whim: neither well nor ill of the sender.
      if (outcome === "bounced" && !isNobody) {
        for (const { breaker } of breakersOf(sender)) breaker.trials.delete(entry.deliveryId);
        return;
      }
      // Whoever reads reports knows neither: to them all mail is the first organisation's.
      const isTold = sender.campaign === undefined && sender.organizationId === defaultOrganization;
      if (outcome === "delivered" && !isTold) senders.set(entry.messageId, sender);
      count(sender, isNobody ? "bounced" : "delivered", entry.deliveryId);
    },

    hear(event) {
      if ("complained" in event) {
        const { messageId, organizationId, feedback } = event.complained;
        if (feedback === "not-spam" || feedback === "opt-out") return;
        count(senders.get(messageId) ?? { organizationId }, "complained", undefined);
        return;
      }
      const { messageId, organizationId, source, reason, hard, confidence } = event.bounced;
      if (source !== "dsn" || !hard || confidence < confidenceMin || !isSendersDoing(reason)) return;
      count(senders.get(messageId) ?? { organizationId }, "bounced", undefined);
    },

    leave({ deliveryId, organizationId, campaign }) {
      const nowMs = now();
      for (const [scope, id] of [
        ["organization", organizationId],
        ["campaign", campaign === undefined ? undefined : campaignId(organizationId, campaign)],
      ] as const) {
        const found = id === undefined ? undefined : counted.get(keyOf(scope, id));
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
      const found = counted.get(keyOf(scope, id));
      const isLifted = by.startsWith("breaker:") && (untilMs ?? 0) > now();
      if (found === undefined || !isLifted) return;
      close(found.breaker);
      touched.add(keyOf(scope, id));
    },

    status: () =>
      [...counted.values()].map(({ scope, id, breaker }) => ({
        scope,
        id,
        state: now() < breaker.untilMs ? "open" : "closed",
        ...(breaker.isOnTrial && now() >= breaker.untilMs ? { why: "on trial after a hold" } : {}),
        ...ratesOf(breaker),
        ...(now() < breaker.untilMs ? { sinceMs: breaker.openedAtMs } : {}),
      })),

    changes(max) {
      const records: { key: string; record: BreakerRecord }[] = [];
      for (const key of touched) {
        if (records.length >= max) break;
        touched.delete(key);
        const found = counted.get(key);
        if (found === undefined) continue;
        records.push({ key: bucketKey(found.scope, found.id), record: recordOf(found, now()) });
      }
      return records;
    },

    restore({ scope, id, organizationId, windows, opened, openedAtMs = 0, untilMs = 0 }) {
      const { breaker } = find(scope, id, organizationId);
      // Windows of other sizes are those of another version.
      const isOurs = limits.every(({ sentMax }, index) => windows[index]?.sentMax === sentMax);
      if (isOurs) breaker.windows = windows.map(({ sentMax, blocks }) => newWindow(sentMax, blocks));
      Object.assign(breaker, { opened, openedAtMs, untilMs, isOnTrial: untilMs > 0 });
    },
  };
}

const keyOf = (scope: Scope, id: string) => `${scope}:${id}`;

/** An address that does not exist is the sender's to know. */
const isSendersDoing = (reason: Observation["reason"]) =>
  reason !== undefined && reasons[reason].hard && reasons[reason].fault === "recipient";

const recordOf = ({ scope, id, organizationId, breaker }: Counted, nowMs: number): BreakerRecord => ({
  scope,
  id,
  organizationId,
  windows: breaker.windows.map(({ sentMax, blocks }) => ({ sentMax, blocks })),
  opened: breaker.opened,
  openedAtMs: breaker.openedAtMs,
  untilMs: breaker.isOnTrial ? breaker.untilMs : 0,
  savedAtMs: nowMs,
});
