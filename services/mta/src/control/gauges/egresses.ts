import type { PoolState } from "@tyto/contracts";
import type { Registry } from "@tyto/service";
import { gaugeOf } from "./gauge.ts";

/** Places of addresses in pools that are told. */
const egressesMax = 100;

/** Whether our addresses are in their pools, what they have open, and how far their warming is. */
export function createEgressGauges(registry: Registry, pools: () => readonly PoolState[]): void {
  const places = () =>
    pools()
      .flatMap(({ pool, egresses }) => egresses.map((egress) => ({ pool, ...egress })))
      .slice(0, egressesMax);
  /** An address may stand in several pools. */
  const addresses = () => new Map(places().map((place) => [place.egress, place])).values();

  gaugeOf(
    registry,
    "tyto_mta_egress_in",
    "1 while an address is in its pool, 0 while it is out",
    ["pool", "egress"],
    () =>
      places().map(({ pool, egress, state }) => ({
        labels: { pool, egress },
        value: state === "in" ? 1 : 0,
      })),
  );
  gaugeOf(
    registry,
    "tyto_mta_egress_connections",
    "SMTP connections that an address of ours has open, over all sites",
    ["egress"],
    () => Array.from(addresses(), ({ egress, connections }) => ({ labels: { egress }, value: connections })),
  );
  gaugeOf(
    registry,
    "tyto_mta_warming_messages",
    "Messages of an address that is being warmed: used today, and its cap",
    ["egress", "kind"],
    () =>
      Array.from(addresses()).flatMap(({ egress, warming }) =>
        warming?.cap === undefined
          ? []
          : [
              { labels: { egress, kind: "used" }, value: warming.used },
              { labels: { egress, kind: "cap" }, value: warming.cap },
            ],
      ),
  );
}
