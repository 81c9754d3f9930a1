/** Complaints; `reason` is the feedback type, `provider` who reports. */
import { breakdownQuery } from "./breakdownQuery.ts";
import { failureQuery } from "./failureQuery.ts";

export const overTime = breakdownQuery("complaint");
export const list = failureQuery("complaint");
