/** Numbers and names as a person reads them, in the sentences that explain a warming. */
import { phrase, providerLabel } from "@tyto/contracts";

/** 1,100 */
export const number = (value: number): string => Math.round(value).toLocaleString("en-US");

/** 12 %, 3.4 % */
export const percent = (part: number): string => {
  const value = 100 * part;
  return `${value < 9.95 ? Number(value.toFixed(1)) : Math.round(value)} %`;
};

/** A provider's name; all that have no course of their own are one. */
export const labelOf = (provider: string): string =>
  provider === "other" ? phrase("provider.others", {}) : providerLabel(provider);

/** "Yahoo", "Yahoo and Google", "Yahoo, Google and Apple" */
export const listed = (names: readonly string[]): string =>
  names.length < 2 ? (names[0] ?? "") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;

/** 23 Nov */
export const dayOf = (timeMs: number): string =>
  new Date(timeMs).toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
