/** Unsubscriptions; `reason` is how: one-click, link, mailto, report. */
import { breakdownQuery } from "./breakdownQuery.ts";
import { failureQuery } from "./failureQuery.ts";

export const overTime = breakdownQuery("unsubscribe");
export const list = failureQuery("unsubscribe");
