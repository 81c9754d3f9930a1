/** Bounces, by SMTP and by report. */
import { breakdownQuery } from "./breakdownQuery.ts";
import { failureQuery } from "./failureQuery.ts";

export const overTime = breakdownQuery("bounce");
export const list = failureQuery("bounce");
