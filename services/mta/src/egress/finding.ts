/**
 * What a check of an address found. `unknown` changes nothing: DNS did not answer, or there is nothing to check. `warning`
 * is told and keeps the address in its pools.
 */
export type Finding = { state: "fine" | "wrong" | "warning" | "unknown"; say: string };
