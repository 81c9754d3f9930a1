import type { Format } from "./format.ts";
import { qmail } from "./qmail.ts";
import { rfc3464 } from "./rfc3464.ts";

/** Tried in order; the standard first. */
export const formats: readonly Format[] = [rfc3464, qmail];
