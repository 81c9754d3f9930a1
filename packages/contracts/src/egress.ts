/** What is remembered of the addresses that mail leaves through: how far their warming is, and why one is not used. */
import { z } from "zod";
import { Heard, TimeMs } from "./values.ts";

const count = z.number().int().nonnegative();

/** What one provider took and thought of one address since the beginning of the record's day. */
export const ProviderWarmth = z.object({
  /** Messages taken out of the day's cap, sent or about to be. */
  taken: count,
  delivered: count,
  /** Put off by a reply about us: too fast, bad reputation, policy. Not greylisting, nor servers in trouble. */
  deferred: count,
  /** Refused for good. */
  bounced: count,
  /**
   * What came back of delivered mail, which takes hours and days: the days so far, each of which counts half as much as the
   * one after it. Absent means nothing so far.
   */
  recent: z
    .object({
      delivered: z.number().nonnegative(),
      bounced: z.number().nonnegative(),
      complained: z.number().nonnegative(),
    })
    .optional(),
  /** It gets no bulk mail until then, because its users complain. */
  pausedUntil: TimeMs.optional(),
  /** 1 where the provider is content; less when it gets that part of what would be its share. */
  pace: z.number().min(0).max(1),
  /** Its part of the address's mail on the last days on which it was content. */
  share: z.number().min(0).max(1),
  /** Days without trouble in a row, since the pace was lowered. */
  cleanDays: count,
  /** When the pace was lowered, and why, in words for people. */
  troubleAt: TimeMs.optional(),
  why: z.string().max(200).optional(),
});
export type ProviderWarmth = z.infer<typeof ProviderWarmth>;

/** How far the warming of one address is, shared by all processes. */
export const WarmingRecord = z.object({
  egress: z.string().max(40),
  /** The UTC day on which the warming began. */
  since: z.iso.date(),
  /** The UTC day that the counts are of. */
  date: z.iso.date(),
  /** The place in the schedule, from 1. */
  day: z.number().int().positive(),
  /** `warm` has no cap; `halted` sends nothing but a little transactional mail until `untilAt`. */
  phase: z.enum(["warming", "halted", "warm"]),
  untilAt: TimeMs.optional(),
  /** Halts so far; each lasts longer than the one before. */
  halts: count,
  /** What was decided last and why, in words for people. */
  why: z.string().max(300).optional(),
  taken: z.object({ transactional: count, bulk: count }),
  /** Transactional messages of the day before: as much is kept free for them. */
  transactionalBefore: count,
  /** By name; mail to everybody else counts as `other`. */
  providers: z.record(z.string().max(60), ProviderWarmth),
  heard: Heard.optional(),
});
export type WarmingRecord = z.infer<typeof WarmingRecord>;

/** Why an address is out of its pools. */
export const quarantineKinds = ["reverse-dns", "listed"] as const;
export const QuarantineKind = z.enum(quarantineKinds);
export type QuarantineKind = z.infer<typeof QuarantineKind>;

export const QuarantineRecord = z.object({
  egress: z.string().max(40),
  kind: QuarantineKind,
  why: z.string().max(300),
  since: TimeMs,
  /** Checks in a row that found nothing wrong any more. */
  cleanChecks: count,
  /** The last of them. */
  cleanAt: TimeMs.optional(),
});
export type QuarantineRecord = z.infer<typeof QuarantineRecord>;
