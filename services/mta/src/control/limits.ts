import { type FlowState, type Measure, phrase, type SiteLimit, shortened } from "@tyto/contracts";
import { hourOf, wordsOfLimit } from "../shaping/set-limits.ts";
import type { Shaping, SiteStatus } from "../shaping/shaping.ts";

export type LimitParts = {
  shaping: Pick<Shaping, "status">;
  /** Connections that are open now. */
  connectionsTo(egress: string, site: string): number;
  /** What rules and operators do with the site's mail; rules.measures. */
  measuresOf(site: string): readonly Measure[];
  /** Why the mail leaves from this address all the same. */
  staysBecause(egress: string, site: string, sinceMs: number): string | undefined;
};

const whyCharsMax = 500;

/** Probing is the end of a suspension: one message asks, the others wait. */
const states: Record<SiteStatus["state"], FlowState> = {
  open: "open",
  slowed: "slowed",
  suspended: "suspended",
  probing: "suspended",
};

/** What limits a site, as operators read it: what shaping knows, what they set, and where rules send the mail of our addresses instead. */
export const limitsFrom =
  ({ shaping, connectionsTo, measuresOf, staysBecause }: LimitParts) =>
  (site: string): SiteLimit[] => {
    const measures = measuresOf(site);
    const switches = new Map(measures.flatMap((one) => (isSwitch(one) ? [[one.egress, one]] : [])));
    const set = measures.find(({ action }) => action === "limit");
    return shaping.status(site).map((row) => {
      const moved = switches.get(row.egress);
      const stays = moved && staysBecause(row.egress, site, moved.sinceMs);
      const why = [moved && wordsOf(moved, stays), set && wordsOfLimit(set), row.why]
        .filter((part) => part !== undefined)
        .join("; ");
      return {
        egress: row.egress,
        state: states[row.state],
        ...(row.untilMs === undefined ? {} : { untilMs: row.untilMs }),
        ...(why === "" ? {} : { why: shortened(why, whyCharsMax) }),
        ...(moved === undefined ? {} : { pool: moved.pool }),
        connections: connectionsTo(row.egress, row.site),
        connectionsMax: row.connectionsMax,
        ...(row.ratePerMin === undefined ? {} : { ratePerMinuteMax: row.ratePerMin }),
        messagesPerConnection: row.messagesMax,
      };
    });
  };

type PoolSwitch = Measure & { egress: string; pool: string };
const isSwitch = (measure: Measure): measure is PoolSwitch =>
  measure.egress !== undefined && measure.pool !== undefined;

function wordsOf({ egress, pool, rule, untilMs, why }: PoolSwitch, stays: string | undefined): string {
  const said = { egress, pool, rule: rule ?? "", why, time: hourOf(untilMs) };
  return stays === undefined ? phrase("flow.switched", said) : phrase("flow.stays", { ...said, stays });
}
