import { type EgressState, phrase, type WarmingRecord } from "@tyto/contracts";
import { capOf, providerMaxOf, usedOf } from "./cap.ts";
import { lastDay } from "./schedule.ts";
import { sentenceOf } from "./sentence.ts";
import { labelOf } from "./words.ts";

/** Where an address stands, for people and programs. */
export function standingOf(record: WarmingRecord): NonNullable<EgressState["warming"]> {
  const isWarm = record.phase === "warm";
  const place = { day: record.day, days: lastDay };
  return {
    ...place,
    say: sentenceOf(record),
    used: usedOf(record),
    ...(isWarm ? {} : { cap: capOf(record) }),
    isPaused: record.phase === "halted",
    providers: Object.entries(record.providers).map(([provider, warmth]) => {
      const max = providerMaxOf(record, warmth);
      return {
        provider,
        ...place,
        used: warmth.taken,
        ...(isWarm || warmth.pace >= 1 ? {} : { cap: max }),
        say:
          warmth.pace < 1
            ? `${phrase("warming.used", { used: warmth.taken, cap: max })}, ${warmth.why ?? phrase("warming.only-slowed", {})}`
            : phrase("warming.sent", { used: warmth.taken, provider: labelOf(provider) }),
      };
    }),
  };
}
