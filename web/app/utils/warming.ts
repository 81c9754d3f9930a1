/** How much of a day's allowance is used, 0 to 1; undefined where there is no cap. More than the cap is all of it. */
export function usedShare(used: number, cap: number | undefined): number | undefined {
  if (cap === undefined) return undefined;
  return cap === 0 ? 1 : Math.min(1, used / cap);
}
