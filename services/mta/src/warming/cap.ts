/** What of a day's cap there is for whom. */
import type { ProviderWarmth, WarmingRecord } from "@tyto/contracts";
import { capOfDay, partOfDay } from "./schedule.ts";

/** Part of a day's cap that bulk mail never takes. */
const reserve = 0.2;
/** As much more than on the day before is kept free for transactional mail. */
const reserveGrowth = 1.25;
/** What a slowed provider may get at least in a day: with less there is nothing to learn from. */
const providerMin = 20;

/** Messages of one day; a halted address sends a little transactional mail. */
export const capOf = ({ day, phase }: WarmingRecord): number =>
  phase === "halted" ? Math.floor(capOfDay(day) * reserve) : capOfDay(day);
export const usedOf = ({ taken }: WarmingRecord): number => taken.transactional + taken.bulk;

/** Bulk messages of one day: the cap without a fifth, or without what transactional mail took and will still need. */
export function bulkMaxOf(record: WarmingRecord, nowMs: number): number {
  if (record.phase === "halted") return 0;
  const expected = reserveGrowth * record.transactionalBefore * (1 - partOfDay(nowMs));
  const kept = Math.max(reserve * capOf(record), record.taken.transactional + expected);
  return Math.max(0, Math.floor(capOf(record) - kept));
}

/** What a provider may get today: a slowed one its pace, of its usual share, of the cap. */
export function providerMaxOf(record: WarmingRecord, provider: ProviderWarmth | undefined): number {
  if (provider === undefined || provider.pace >= 1) return Number.POSITIVE_INFINITY;
  return Math.max(providerMin, Math.floor(provider.pace * provider.share * capOfDay(record.day)));
}

/** The same without what bulk mail leaves free there. */
export const providerBulkMaxOf = (record: WarmingRecord, provider: ProviderWarmth | undefined): number =>
  Math.floor((1 - reserve) * providerMaxOf(record, provider));
