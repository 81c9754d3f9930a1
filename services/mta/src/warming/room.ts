/** Whether a message may be sent now from an address that is warming. */
import { phrase, type Traffic, type WarmingRecord } from "@tyto/contracts";
import { bulkMaxOf, capOf, providerBulkMaxOf, providerMaxOf, usedOf } from "./cap.ts";
import { midnightAfter, partOfDay } from "./schedule.ts";
import { placeOf, sentenceOf } from "./sentence.ts";
import { labelOf } from "./words.ts";

/** Bulk mail is released over the day: this part at its beginning, all of it at its end, and the first ones at once. */
const releasedFirst = 0.1;
const unpacedMax = 100;
const dayMs = 86_400_000;
const releaseMs = { min: 60_000, max: 900_000 } as const;
/** Who waits for the next day asks again this often: an address may become free, or a person change something. */
const askMsMax = 3_600_000;

/** What may be taken: up to `count` messages, or none before a time, and why, in words for people. */
export type Room =
  | { kind: "room"; count: number }
  /** `isFull`: the whole cap is used, by whatever mail. */
  | { kind: "wait"; untilMs: number; why: string; isFull?: true };

/** Is there room for this kind of mail to this provider: under the cap, in what the day has released, in the provider's part? */
export function roomFor(record: WarmingRecord, provider: string, traffic: Traffic, nowMs: number): Room {
  if (record.phase === "warm") return { kind: "room", count: Number.POSITIVE_INFINITY };
  const soonMs = Math.min(midnightAfter(nowMs), nowMs + askMsMax);
  const wait = (why: string, untilMs = soonMs) => ({
    kind: "wait" as const,
    untilMs,
    why: why === "" ? sentenceOf(record) : `${placeOf(record)}: ${why}`,
  });
  if (record.phase === "halted" && traffic === "bulk") return wait("");

  const total = capOf(record) - usedOf(record);
  if (total <= 0) return { ...wait(phrase("warming.midnight", {})), isFull: true } as const;
  const known = record.providers[provider];
  const ofProvider = providerMaxOf(record, known) - (known?.taken ?? 0);
  if (ofProvider <= 0)
    return wait(
      [
        phrase("warming.provider-had", { provider: labelOf(provider), cap: providerMaxOf(record, known) }),
        known?.why ?? phrase("warming.is-slowed", {}),
      ].join(", "),
    );
  if (traffic === "transactional") return { kind: "room", count: Math.min(total, ofProvider) };
  if ((known?.pausedUntil ?? 0) > nowMs)
    return wait(`${phrase("warming.no-bulk", { provider: labelOf(provider) })}, ${known?.why ?? ""}`);
  const bulkOfProvider = providerBulkMaxOf(record, known) - (known?.taken ?? 0);
  if (bulkOfProvider <= 0) return wait(phrase("warming.reserve-provider", { provider: labelOf(provider) }));

  const max = bulkMaxOf(record, nowMs);
  const out = released(record, nowMs);
  if (record.taken.bulk < out)
    return { kind: "room", count: Math.min(total, bulkOfProvider, out - record.taken.bulk) };
  if (record.taken.bulk >= max) return wait(phrase("warming.reserve", {}));
  return wait(
    phrase("warming.spread", { out, max }),
    Math.min(midnightAfter(nowMs), nowMs + releaseWaitMs(max)),
  );
}

/** The time in which a fiftieth of the day's bulk mail is released. */
const releaseWaitMs = (max: number) =>
  Math.min(releaseMs.max, Math.max(releaseMs.min, (Math.max(1, max / 50) / max) * dayMs));

/** Bulk messages that the day has released by now, so that providers get them over the day and not all at midnight. */
function released(record: WarmingRecord, nowMs: number): number {
  const max = bulkMaxOf(record, nowMs);
  const open = releasedFirst + (1 - releasedFirst) * partOfDay(nowMs);
  return Math.min(max, Math.max(unpacedMax, Math.floor(max * open)));
}
