import type { Hold } from "@tyto/contracts";
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
    const hold = (wanted: Pick<Hold, "scope" | "id" | "site">) =>
      void holds
        .hold({ ...wanted, why, by, untilMs })
        .catch((error: unknown) => log.warn("mta.rule-not-stored", { rule, ...wanted, error }));
    const sender = { scope: "organization", id: organizationId } as const;
    const batch =
      campaign === undefined
        ? undefined
        : ({ scope: "campaign", id: campaignId(organizationId, campaign) } as const);
    switch (action) {
      case "suspend-site":
        shaping.suspend({ egress, site }, provider, untilMs, why);
        break;
      case "slow-site":
        shaping.slow({ egress, site }, provider, why);
        break;
      case "hold-organization":
        hold(sender);
        break;
      case "hold-organization-at-site":
        hold({ ...sender, site });
        break;
      case "hold-campaign":
        if (batch !== undefined) hold(batch);
        break;
      case "hold-campaign-at-site":
        if (batch !== undefined) hold({ ...batch, site });
        break;
      case "bounce":
      case "switch-pool":
        break;
    }
  };
