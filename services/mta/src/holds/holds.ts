import type { Bucket } from "@tyto/bus";
import {
  bucketKey,
  canBeHeldAtSite,
  defaultOrganization,
  Failure,
  type Hold,
  holdKey,
  OrganizationId,
  type Payload,
  phrase,
  type QueueEntry,
} from "@tyto/contracts";
import type { Log } from "@tyto/service";
import type { Leave } from "../observation.ts";

/** What is held and why. Without `untilMs` it stays until a person releases it. */
export type NewHold = Omit<Hold, "key" | "sinceMs">;

export type HoldPorts = {
  bucket: Bucket<"HOLDS">;
  publish: {
    (subject: "sending.held", payload: Payload<"sending.held">): Promise<void>;
    (subject: "sending.released", payload: Payload<"sending.released">): Promise<void>;
  };
  now: () => number;
  /** From 0 up to 1. */
  random: () => number;
  log: Pick<Log, "warn" | "info">;
};

export type Holds = {
  /** May this entry be sent to this site? Looks into memory only. */
  leave(entry: Pick<QueueEntry, "organizationId" | "campaign" | "recipient">, site: string): Leave;
  /**
   * Holds, or changes what is held already. A rule or breaker never takes the place of a person's hold, and never shortens
   * one. Throws Failure `request.invalid`, `limit.exceeded` or `upstream.down`.
   */
  hold(hold: NewHold): Promise<Hold>;
  /** False when nothing was held under this key. Throws Failure `upstream.down`. */
  release(key: string, by: string): Promise<boolean>;
  list(): Hold[];
  /** Calls back when a hold ended here or in another process. */
  onReleased(heard: (hold: Hold) => void): void;
  /** Ends holds whose time is over. */
  expire(): Promise<void>;
};

const holdsMax = 2_000;
/** Held entries look again after this time, so that a release is felt soon. Spread, so that they do not come as one wave. */
const lookAgainMs = 600_000;
const expiredPerTurnMax = 100;
/** Several processes see the same trouble a moment apart: that is one hold. */
const lengthenMsMin = 60_000;

/** A campaign's name is its organisation's own. */
export const campaignId = (organizationId: string, campaign: string) => `${organizationId}/${campaign}`;

/** Rules and breakers, whose holds end by time and give way to people. */
const isMachine = (by: string) => by.startsWith("rule:") || by.startsWith("breaker:");

/** What this process knows of holds, by the keys of the bucket. */
type Known = { ports: HoldPorts; holds: Map<string, Hold>; listeners: ((hold: Hold) => void)[] };

/**
 * The one place where sending is stopped for people, rules and breakers alike. Every mta process sees every hold: they
 * live in a bucket that each watches. Resolves when the present ones are known. Throws Failure `upstream.down`.
 */
export async function createHolds(ports: HoldPorts): Promise<Holds & { stop(): void }> {
  const known: Known = { ports, holds: new Map(), listeners: [] };
  const { holds, listeners } = known;
  const watch = await ports.bucket.watch((key, hold) => {
    if (hold !== undefined) {
      holds.set(key, hold);
      return;
    }
    const ended = holds.get(key);
    holds.delete(key);
    if (ended !== undefined) for (const heard of listeners) heard(ended);
  });

  return {
    leave: (entry, site) => leaveOf(known, entry, site),
    hold: (wanted) => holdAs(known, wanted),
    async release(key, by) {
      const hold = [...holds.values()].find((one) => one.key === key);
      if (hold === undefined) return false;
      await end(known, hold, by);
      return true;
    },
    list: () => [...holds.values()].filter((hold) => isInForce(hold, ports.now())),
    onReleased: (heard) => void listeners.push(heard),
    async expire() {
      const over = [...holds.values()].filter((hold) => !isInForce(hold, ports.now()));
      for (const hold of over.slice(0, expiredPerTurnMax)) await end(known, hold, "time");
    },
    stop: () => watch.stop(),
  };
}

function leaveOf({ ports, holds }: Known, entry: Parameters<Holds["leave"]>[0], site: string): Leave {
  if (holds.size === 0) return { kind: "go" };
  const nowMs = ports.now();
  const found = longest(holds, entry, site, nowMs);
  if (found === undefined) return { kind: "go" };
  const lookAgainAtMs = nowMs + lookAgainMs * (1 + ports.random() / 2);
  return {
    kind: "wait",
    untilMs: Math.round(Math.min(endOf(found), lookAgainAtMs)),
    why: heldWords(found),
  };
}

/** Of all holds of an entry that are in force, the one that ends last. */
function longest(
  holds: ReadonlyMap<string, Hold>,
  { organizationId, campaign, recipient }: Parameters<Holds["leave"]>[0],
  site: string,
  nowMs: number,
): Hold | undefined {
  const find = (scope: Hold["scope"], id: string) => holds.get(bucketKey(scope, id));
  const findBoth = (scope: Hold["scope"], id: string) => [
    find(scope, id),
    holds.get(bucketKey(scope, id, site)),
  ];
  let found: Hold | undefined;
  for (const hold of [
    find("everything", "*"),
    ...findBoth("organization", organizationId),
    ...(campaign === undefined ? [] : findBoth("campaign", campaignId(organizationId, campaign))),
    ...(campaign === undefined ? [] : findBoth("campaign", campaign)),
    find("site", site),
    find("domain", domainOf(recipient)),
  ])
    if (hold !== undefined && isInForce(hold, nowMs) && (found === undefined || endOf(hold) > endOf(found)))
      found = hold;
  return found;
}

async function holdAs(known: Known, wanted: NewHold): Promise<Hold> {
  const { ports, holds } = known;
  const nowMs = ports.now();
  check(wanted, nowMs);
  const key = bucketKeyOf(wanted);
  const before = holds.get(key);
  const present = before !== undefined && isInForce(before, nowMs) ? before : undefined;
  if (present !== undefined && staysBefore(present, wanted)) return present;
  if (before === undefined && holds.size >= holdsMax)
    throw new Failure("limit.exceeded", `there are ${holdsMax} holds already: release some`);
  // A hold that goes on under another name is one that ended and one that began.
  if (before !== undefined) await end(known, before, present === undefined ? "time" : wanted.by);
  const hold: Hold = { ...wanted, key: holdKey(wanted), sinceMs: nowMs };
  await ports.bucket.put(key, hold);
  holds.set(key, hold);
  const { why, by, untilMs } = hold;
  await ports.publish("sending.held", {
    ...about(hold, "held", nowMs),
    ...{ why, by },
    ...(untilMs === undefined ? {} : { untilAt: untilMs }),
  });
  ports.log.warn("mta.sending-held", { hold: hold.key, why, by });
  return hold;
}

function check({ scope, id, site, by, untilMs }: NewHold, nowMs: number): void {
  if (untilMs !== undefined && untilMs <= nowMs)
    throw new Failure("request.invalid", "a hold must end in the future");
  if (untilMs === undefined && isMachine(by)) throw new Failure("internal", `${by} holds without an end`);
  if ((scope === "everything") !== (id === "*"))
    throw new Failure("request.invalid", "everything is held as *, and nothing else is");
  if (site !== undefined && !canBeHeldAtSite(scope))
    throw new Failure("request.invalid", "only an organization or a campaign is held at one site alone");
}

const bucketKeyOf = ({ scope, id, site }: Pick<Hold, "scope" | "id" | "site">) =>
  site === undefined ? bucketKey(scope, id) : bucketKey(scope, id, site);

/** A person's hold stays when a machine wants another; a machine's, unless the other one is longer. */
function staysBefore(present: Hold, wanted: NewHold): boolean {
  if (!isMachine(wanted.by)) return false;
  return !isMachine(present.by) || endOf(wanted) <= endOf(present) + lengthenMsMin;
}

async function end({ ports, holds, listeners }: Known, hold: Hold, by: string): Promise<void> {
  const key = bucketKeyOf(hold);
  await ports.bucket.delete(key);
  holds.delete(key);
  await ports.publish("sending.released", {
    ...about(hold, "released", ports.now()),
    by,
    heldAt: hold.sinceMs,
  });
  ports.log.info("mta.sending-released", { hold: hold.key, by });
  for (const heard of listeners) heard(hold);
}

const domainOf = (recipient: string) => recipient.slice(recipient.lastIndexOf("@") + 1).toLowerCase();

const endOf = ({ untilMs }: Pick<Hold, "untilMs">) => untilMs ?? Number.POSITIVE_INFINITY;
const isInForce = (hold: Hold, nowMs: number) => endOf(hold) > nowMs;

/** Does the hold keep this entry, as long as it is in force? */
export function isHeldBy(
  { scope, id, site: at }: Pick<Hold, "scope" | "id" | "site">,
  { organizationId, campaign, recipient }: Parameters<Holds["leave"]>[0],
  site: string,
): boolean {
  if (at !== undefined && at !== site) return false;
  switch (scope) {
    case "everything":
      return true;
    case "organization":
      return id === organizationId;
    case "campaign":
      return campaign !== undefined && (id === campaign || id === campaignId(organizationId, campaign));
    case "site":
      return id === site;
    case "domain":
      return id === domainOf(recipient);
  }
}

/** As people read it. */
export function heldWords({ scope, id, site, by, why }: Hold): string {
  if (scope === "everything") return phrase("flow.everything-held", { by, why });
  return site === undefined
    ? phrase("flow.scope-held", { scope, id, by, why })
    : phrase("flow.scope-held-at", { scope, id, site, by, why });
}

/** The id tells the same hold the same way by whichever process it is told. */
function about(hold: Hold, verb: "held" | "released", nowMs: number) {
  const { scope, id, site, sinceMs } = hold;
  const name = site === undefined ? id : `${id}@${site}`;
  const hash = new Bun.CryptoHasher("sha256").update(name).digest("hex").slice(0, 16);
  const owner = OrganizationId.safeParse(scope === "campaign" ? id.split("/")[0] : id);
  const isOwned = scope === "organization" || (scope === "campaign" && id.includes("/"));
  return {
    id: `${scope}.${hash}.${sinceMs}.${verb}`,
    at: verb === "held" ? sinceMs : nowMs,
    organizationId: isOwned && owner.success ? owner.data : defaultOrganization,
    scope,
    scopeId: id,
    ...(site === undefined ? {} : { site }),
  };
}
