import type { DomainView } from "@tyto/contracts";

/** Something that stops mail or harms it, and where it is mended. */
export type Attention =
  | { kind: "domain"; name: string }
  | { kind: "hold"; scope: string; name: string; site: string | undefined; why: string | undefined }
  | { kind: "egress"; name: string; why: string | undefined };

type Hold = {
  scope: string;
  scopeId: string;
  site?: string;
  heldAt: number;
  why?: string;
  untilAt?: number;
  releasedAt?: number;
};
type Quarantine = { egress: string; why?: string; releasedAt?: number };

/** What is wrong now: domains whose records went missing, addresses out of use, what is held. */
export function attentionOf(
  domains: readonly Pick<DomainView, "domain" | "state">[],
  quarantines: readonly Quarantine[],
  holds: readonly Hold[],
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
    ...failing.map(({ domain }) => ({ kind: "domain" as const, name: domain })),
    ...[...out.values()].map(({ egress, why }) => ({ kind: "egress" as const, name: egress, why })),
    ...held.map(({ scope, scopeId, site, why }) => ({
      ...{ kind: "hold" as const, scope, name: scopeId, site, why },
    })),
  ];
}
