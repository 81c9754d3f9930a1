/** What is rehearsed, and what comes of it. */
import type { Manner } from "./receivers.ts";

export type Scenario = {
  days: number;
  /** Messages over all days, as evenly as people work. */
  volume: number;
  /** Parts of the mail by provider, which need not sum up to anything. `other` is everybody else. */
  mix: Readonly<Record<string, number>>;
  ips: number;
  seed: number;
  /** Shares of 0 to 1. */
  transactional: number;
  unknown: number;
  complaints: number;
  /** Takes the place of a receiver's manner from one day to another, counted from 1: bad weather. */
  weather?: { provider: string; fromDay: number; toDay: number; manner: Partial<Manner> };
};

export type ProviderDay = { delivered: number; deferred: number; bounced: number; reputation: number };
export type SimulatedDay = {
  /** From 1. */
  day: number;
  date: string;
  cap: number | undefined;
  sent: number;
  delivered: number;
  deferred: number;
  bounced: number;
  /** Recipients who called mail spam, as far as their providers passed it on this day. */
  complaints: number;
  isHalted: boolean;
  /** Accepted by us and not over at the end of the day. */
  waiting: number;
  providers: Record<string, ProviderDay>;
  /** Of the first address, at the end of the day. */
  say: string;
};

export type Simulation = {
  scenario: Scenario;
  days: SimulatedDay[];
  /** When the last message was over; absent when some still waited at the end. */
  finishedAtMs?: number;
  startedAtMs: number;
  /** The first day at whose end every address was warm. */
  warmOnDay?: number;
  haltedOnDay?: number;
  /** `expired` ones are among the bounced. */
  totals: Record<"accepted" | "delivered" | "bounced" | "expired" | "waiting" | "deferrals", number>;
  /** How long a transactional message had waited for its first attempt, at most, when a bulk one to the same site was sent. */
  transactionalWaitMsMax: number;
};

/** A Monday. */
export const startMs = Date.UTC(2026, 0, 5);
export const dayMs = 86_400_000;
