import type { FlowState, SiteLimit } from "@tyto/contracts";
import type { Shaping, SiteStatus } from "../shaping/shaping.ts";

/** Probing is the end of a suspension: one message asks, the others wait. */
const states: Record<SiteStatus["state"], FlowState> = {
  open: "open",
  slowed: "slowed",
  suspended: "suspended",
  probing: "suspended",
};

/** What shaping knows of a site, as operators read it; `connectionsTo` counts those that are open now. */
export const limitsFrom =
  (shaping: Pick<Shaping, "status">, connectionsTo?: (egress: string, site: string) => number) =>
  (site: string): SiteLimit[] =>
    shaping.status(site).map((row) => ({
      egress: row.egress,
      state: states[row.state],
      ...(row.untilMs === undefined ? {} : { untilMs: row.untilMs }),
      ...(row.why === undefined ? {} : { why: row.why.slice(0, 500) }),
      ...(connectionsTo === undefined ? {} : { connections: connectionsTo(row.egress, row.site) }),
      connectionsMax: row.connectionsMax,
      ...(row.ratePerMin === undefined ? {} : { ratePerMinuteMax: row.ratePerMin }),
      messagesPerConnection: row.messagesMax,
    }));
