/** Where an address's warming stands, in words for people. */
import { phrase, type WarmingRecord } from "@tyto/contracts";
import { capOf, usedOf } from "./cap.ts";
import { lastDay } from "./schedule.ts";
import { listed } from "./words.ts";

/** "day 6 of 30, 412 of 1,100 used" */
export const placeOf = (record: WarmingRecord) =>
  // A halt comes in the middle of a day: more may be used by then than a halted address may send.
  [
    phrase("warming.day", { day: record.day, days: lastDay }),
    record.phase === "halted"
      ? phrase("warming.used-only", { used: usedOf(record) })
      : phrase("warming.used", { used: usedOf(record), cap: capOf(record) }),
  ].join(", ");

/** How the reason of a slowed provider begins. */
export const slowedSince = phrase("warming.slowed", { fault: "" });

/** Where it stands and why, as one sentence: "day 6 of 30, 412 of 1,100 used, slowed because Yahoo deferred 12 %". */
export function sentenceOf(record: WarmingRecord): string {
  if (record.phase === "warm") return phrase("warming.warm", {});
  const whys = Object.values(record.providers).flatMap(({ pace, why }) =>
    pace < 1 && why !== undefined ? [why] : [],
  );
  const slow = whys.filter((why) => why.startsWith(slowedSince)).map((why) => why.slice(slowedSince.length));
  const others = whys.filter((why) => !why.startsWith(slowedSince));
  const slowest = slow.length === 0 ? [] : [`${slowedSince}${listed(slow)}`];
  return [placeOf(record), record.why, ...slowest, ...others].filter((part) => part !== undefined).join(", ");
}
