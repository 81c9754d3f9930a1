/** How a button of a row of filters looks and what it tells: the chosen one stands out. */
export const pill = (chosen: boolean) => ({
  color: "neutral" as const,
  variant: chosen ? ("solid" as const) : ("ghost" as const),
  size: "sm" as const,
  "aria-pressed": chosen,
});
