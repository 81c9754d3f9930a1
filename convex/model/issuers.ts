/** Who signs tokens for Convex (ES256, audience `convex`). The names are ours alone and resolve to nothing. */
export const issuers = {
  gateway: "https://gateway.tyto.internal",
  recorder: "https://recorder.tyto.internal",
} as const;
