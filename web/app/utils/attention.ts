import { type DomainView, type PoolView, portCheck } from "@tyto/contracts";

/** Something that stops mail or harms it, and where it is mended. */
export type Attention =
  | { kind: "domain"; name: string }
  | { kind: "hold"; scope: string; name: string; site: string | undefined; why: string | undefined }
  | { kind: "egress"; name: string; why: string | undefined }
  | { kind: "port"; name: string; why: string };

type Hold = {
  scope: string;
  scopeId: string;
  site?: string;
  heldAt: number;
  why?: string;
  untilAt?: number;
  releasedAt?: number;
};
type Pool = { egresses: Pick<PoolView["egresses"][number], "egress" | "checks">[] };
type Quarantine = { egress: string; why?: string; releasedAt?: number };

/** Addresses that reach no mail server, each once. */
function closedPorts(pools: readonly Pool[]): Attention[] {
  const closed = new Map(
    pools
      .flatMap(({ egresses }) => egresses)
      .flatMap(({ egress, checks }) =>
        checks.flatMap(({ name, ok, say }) =>
          name === portCheck && !ok ? [[egress, { kind: "port", name: egress, why: say }] as const] : [],
        ),
      ),
  );
  return [...closed.values()];
}

/** What is wrong now: mail servers out of reach, domains whose records went missing, addresses out of use, what is held. */
export function attentionOf(
  domains: readonly Pick<DomainView, "domain" | "state">[],
  quarantines: readonly Quarantine[],
  holds: readonly Hold[],
  pools: readonly Pool[],
  nowMs: number,
): Attention[] {
  const failing = domains.filter(({ state }) => state === "failing");
  const out = new Map(
    quarantines.filter(({ releasedAt }) => releasedAt === undefined).map((one) => [one.egress, one]),
  );
  const held = holds.filter(
    ({ releasedAt, untilAt }) => releasedAt === undefined && (untilAt === undefined || untilAt > nowMs),
  );
  return [
    ...closedPorts(pools),
    ...failing.map(({ domain }) => ({ kind: "domain" as const, name: domain })),
    ...[...out.values()].map(({ egress, why }) => ({ kind: "egress" as const, name: egress, why })),
    ...held.map(({ scope, scopeId, site, why }) => ({
      ...{ kind: "hold" as const, scope, name: scopeId, site, why },
    })),
  ];
}
