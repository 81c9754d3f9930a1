import { isDomain } from "@tyto/contracts";
import type { Floor } from "./demand.ts";

/** By recipient domain in lower case; `*` stands for all that are not named. */
export type Floors = ReadonlyMap<string, Floor>;

/** Reads `example.com=verified,*=encrypted`. Throws TypeError that names the entry which is wrong. */
export function parseFloors(text: string): Floors {
  const floors = new Map<string, Floor>();
  for (const entry of text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "")) {
    const [, domain = "", floor] = /^([^=\s]+)=(opportunistic|encrypted|verified)$/.exec(entry) ?? [];
    if (floor === undefined || !(domain === "*" || isDomain(domain)))
      throw new TypeError(
        `must be domain=verified,*=encrypted (or opportunistic), but has ${JSON.stringify(entry)}`,
      );
    floors.set(domain.toLowerCase(), floor as Floor);
  }
  return floors;
}

export const floorOf = (floors: Floors, domain: string): Floor =>
  floors.get(domain.toLowerCase()) ?? floors.get("*") ?? "opportunistic";
