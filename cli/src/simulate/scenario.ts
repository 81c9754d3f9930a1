import { manners } from "../../../services/mta/src/simulator/receivers.ts";
import type { Scenario } from "../../../services/mta/src/simulator/simulate.ts";

/** What was given on the command line; everything has a default. */
export type Given = Partial<
  Record<"days" | "volume" | "mix" | "ips" | "seed" | "transactional" | "unknown" | "complaints", string>
>;

/** Reads the numbers of a scenario. Throws TypeError that names the option and says what it takes. */
export function readScenario(given: Given): Scenario {
  return {
    days: whole("days", given.days ?? "30", 1, 365),
    volume: whole("volume", given.volume ?? "200000", 1, 3_000_000),
    mix: readMix(given.mix ?? "google=45,microsoft=25,yahoo=15,other=15"),
    ips: whole("ips", given.ips ?? "1", 1, 50),
    seed: whole("seed", given.seed ?? "1", 0, 4_294_967_295),
    transactional: percents("transactional", given.transactional ?? "10"),
    unknown: percents("unknown", given.unknown ?? "0.5"),
    complaints: percents("complaints", given.complaints ?? "0.05"),
  };
}

function whole(name: string, text: string, least: number, most: number): number {
  const number = Number(text.replaceAll(/[_,]/g, ""));
  if (!Number.isSafeInteger(number) || number < least || number > most || text.trim() === "")
    throw new TypeError(`--${name} takes a whole number from ${least} to ${most}, not "${text}"`);
  return number;
}

function percents(name: string, text: string): number {
  const number = Number(text.replace(/ ?%$/, ""));
  if (!Number.isFinite(number) || number < 0 || number > 100 || text.trim() === "")
    throw new TypeError(`--${name} takes a percentage from 0 to 100, not "${text}"`);
  return number / 100;
}

function readMix(text: string): Record<string, number> {
  const names = Object.keys(manners).join(", ");
  const mix: Record<string, number> = {};
  for (const part of text.split(",")) {
    const [name = "", digits = ""] = part.split("=").map((piece) => piece.trim());
    const share = Number(digits);
    if (!Object.hasOwn(manners, name) || digits === "" || !(share >= 0) || !Number.isFinite(share))
      throw new TypeError(`--mix takes ${names} with their parts, such as google=60,other=40, not "${part}"`);
    mix[name] = (mix[name] ?? 0) + share;
  }
  if (!Object.values(mix).some((share) => share > 0))
    throw new TypeError("--mix needs a part that is more than 0");
  return mix;
}
