/** What the mta says of its queue and its connections. */
import type { Installation } from "@tyto/test/parts/installation.ts";

export type MtaMetrics = { ready: number; later: number; connections: number };

/** From /metrics. Throws while the mta does not answer. */
export async function metricsOf({ port }: Pick<Installation, "port">): Promise<MtaMetrics> {
  const text = await (await fetch(`http://127.0.0.1:${port("MTA_HEALTH_PORT")}/metrics`)).text();
  const of = (name: string, state: string) =>
    Number(new RegExp(`^${name}\\{[^}]*state="${state}"[^}]*\\} (\\S+)`, "m").exec(text)?.[1] ?? Number.NaN);
  return {
    ready: of("tyto_mta_queue_depth", "ready"),
    later: of("tyto_mta_queue_depth", "later"),
    connections: of("tyto_mta_connections", "open"),
  };
}
