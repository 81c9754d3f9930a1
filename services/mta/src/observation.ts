import type { Conversation, QueueEntry, Reason, Reply } from "@tyto/contracts";
import type { Egress } from "./egress.ts";
import type { Site } from "./site.ts";

/** What one attempt came to, as everything that learns from outcomes sees it: limits, rules, warming, breakers, reports. */
export type Observation = {
  atMs: number;
  entry: Pick<
    QueueEntry,
    "deliveryId" | "messageId" | "organizationId" | "recipient" | "attempt" | "traffic" | "campaign"
  >;
  site: Pick<Site, "id" | "provider">;
  egress: Pick<Egress, "id">;
  outcome: "delivered" | "deferred" | "bounced";
  /** Absent for `delivered`. */
  reason?: Reason;
  hard?: boolean;
  reply?: Reply;
  /** Our own words where there was no reply. */
  explanation?: string;
  conversation?: Conversation;
  /** A rule gave it up, and the server only put it off: it speaks against nobody, and is no evidence for a rule. */
  madeBy?: "rule";
};

/** An attempt that ended before there was a server to go to: DNS knows no way, or nobody signs for the sender. */
export type Wayless = Omit<Observation, "site" | "egress">;

/**
 * May this be sent now? `isProbe`: it finds out whether a site that was left alone is well again. `wait`: not before `untilMs`, and why,
 * in words for people; `isBooked`: only because others are before it; `isPause`: because the site is left alone.
 */
export type Leave =
  | { kind: "go"; isProbe?: true }
  | { kind: "wait"; untilMs: number; why: string; isBooked?: true; isPause?: true };
