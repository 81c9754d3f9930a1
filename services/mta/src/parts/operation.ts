import type { DeliveryId } from "@tyto/contracts";
import { type Control, createControl } from "../control/control.ts";
import { limitsFrom } from "../control/limits.ts";
import type { WayOut } from "../egress/way-out.ts";
import type { Gates } from "../gates.ts";
import { findAddresses, findPath } from "../mx.ts";
import type { TlsPolicies } from "../tls/policies.ts";
import type { Sessions } from "./sessions.ts";
import type { MessageStore } from "./store.ts";
import { type Surroundings, smtpPort } from "./surroundings.ts";

/** What operators ask and do. Sessions and deliveries are made with it, so it is given ways to them. */
export function createOperation(
  { config, bus, resolver, registry, processId, now, random, log }: Surroundings,
  parts: {
    store: MessageStore;
    tls: TlsPolicies;
    gates: Gates;
    wayOut: WayOut;
    sessions(): Sessions;
    isInHand(id: DeliveryId): boolean;
  },
): Control {
  const { store, tls, gates, wayOut, sessions, isInHand } = parts;
  const { routes, ehloName: ownHost, allowPrivate, concurrency } = config;
  return createControl({
    ...{ bus, process: processId, smtpPort, registry, log, now, isInHand },
    connections: () => ({ ...sessions().count(), max: concurrency }),
    findPath: (domain) => findPath(domain, { resolver, routes, ownHost, smtpPort, random }),
    addressesOf: (host) => findAddresses(host, resolver, allowPrivate),
    act: store,
    parts: {
      policiesOf: tls.policiesOf,
      pools: wayOut.pools,
      connectionsFrom: (egress) => sessions().connectionsFrom(egress),
      limitsOf: limitsFrom({
        shaping: gates.shaping,
        connectionsTo: (egress, site) => sessions().connectionsTo({ egress, site }),
        measuresOf: gates.rules.measures,
        staysBecause: wayOut.staysBecause,
      }),
      limitedSites: () => [
        ...gates.shaping.status().flatMap(({ site, state }) => (state === "open" ? [] : site)),
        ...wayOut.refusedSites(now()),
      ],
      closed: wayOut.closed,
      members: config.egress.pools.map(({ name, members }) => ({ name, ids: members.map(({ id }) => id) })),
      refusedAt: (site) => wayOut.refusedAt(site, now()),
      askNext(site) {
        const rows = gates.shaping.askNext(site);
        // Also by what stands in line here for the end of the pause.
        for (const { egress } of gates.shaping.status(site)) sessions().wake({ egress, site });
        return rows;
      },
      limitSite: gates.limitSite,
      ceilingAt: gates.ceilingAt,
      breakers: gates.breakers.status,
      rules: gates.rules.status,
      measures: { list: gates.rules.measures, release: gates.rules.release },
      tryRules: gates.tryRules,
      holds: gates.holds,
    },
  });
}
