import { arf } from "./arf.ts";
import type { ComplaintFormat } from "./format.ts";
import { jmrp } from "./jmrp.ts";
import { spamcop } from "./spamcop.ts";
import { xarf } from "./xarf.ts";

/** Tried in order; the standard first. */
export const complaintFormats: readonly ComplaintFormat[] = [arf, jmrp, xarf, spamcop];
