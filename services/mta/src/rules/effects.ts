import type { Log } from "@tyto/service";
import { campaignId, type Holds } from "../holds/holds.ts";
import type { Shaping } from "../shaping/shaping.ts";
import type { Effect } from "./engine.ts";

/** Does what rules want: to the limits of sites, or by a hold. What cannot be stored is told and wanted again at the next match. */
export const applyEffects =
  (shaping: Pick<Shaping, "suspend" | "slow">, holds: Pick<Holds, "hold">, log: Pick<Log, "warn" | "info">) =>
  (effect: Effect): void => {
    const { rule, action, egress, site, provider, untilMs, why, organizationId, campaign } = effect;
    log.info("mta.rule-fired", { rule, action, site, egress, why });
    const by = `rule:${rule}`;
    const held = (scope: "organization" | "campaign", id: string) =>
      holds
        .hold({ scope, id, why, by, untilMs })
        .catch((error: unknown) => log.warn("mta.rule-not-stored", { rule, scope, id, error }));
    switch (action) {
      case "suspend-site":
        shaping.suspend({ egress, site }, provider, untilMs, why);
        break;
      case "slow-site":
        shaping.slow({ egress, site }, provider, why);
        break;
      case "hold-organization":
        void held("organization", organizationId);
        break;
      case "hold-campaign":
        if (campaign !== undefined) void held("campaign", campaignId(organizationId, campaign));
        break;
      case "bounce":
      case "switch-pool":
        break;
    }
  };
