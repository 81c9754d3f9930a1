import {
  type Address,
  type DeliveryId,
  type Domain,
  Failure,
  type Origin,
  type QueueEntry,
  toFailure,
  trafficOf,
} from "@tyto/contracts";
import type { Log } from "@tyto/service";
import type { Content } from "./contents.ts";
import type { Carried, CarryOptions } from "./courier.ts";
import type { Choice } from "./egress/egresses.ts";
import type { Egress } from "./egress.ts";
import type { Host, Path } from "./mx.ts";
import type { Leave } from "./observation.ts";
import { originOf } from "./origin.ts";
import { type Failed, failure, type Outcome } from "./outcome.ts";
import type { Want } from "./pool/pool.ts";
import type { Providers } from "./providers/choice.ts";
import type { Provider } from "./providers/provider.ts";
import type { Signer } from "./signers.ts";
import type { Site } from "./site.ts";
import type { Mail } from "./smtp.ts";
import type { Demand } from "./tls/demand.ts";
import type { Followers } from "./together.ts";

/** The outside world, as one attempt needs it. */
export type AttemptPorts = {
  signerOf(domain: Domain): Promise<Signer | undefined>;
  findPath(domain: string): Promise<SitePath>;
  /** Whether somebody holds this mail back. */
  leave(entry: QueueEntry, site: Site): Leave;
  /** Through which of our addresses it goes. */
  egressFor(entry: QueueEntry, site: Site): Promise<Choice>;
  contentOf(entry: QueueEntry): Promise<Content>;
  returnPath(id: DeliveryId, host: Domain, origin: Origin): Address;
  /** Header fields that this recipient's copy has of its own. */
  personalFields(id: DeliveryId, host: Domain): Buffer;
  /** What a session to a host has to be for this entry. */
  demandOf(host: Host, entry: QueueEntry): Promise<Demand>;
  carry(
    mailOf: MailOf,
    hosts: readonly Host[],
    want: Want,
    options: Pick<CarryOptions, "siteWaitMs" | "hold" | "demandOf" | "followers">,
  ): Promise<Carried>;
  /** Who delivers in our place; absent where nobody ever does. */
  providers?: Pick<Providers, "of" | "overflow"> | undefined;
  /** Aborted when the service stops. */
  signal?: AbortSignal;
  log: Pick<Log, "error">;
};

/** The message as it goes on the wire, made when there is a connection for it: thousands may wait for one. */
export type MailOf = () => Promise<Mail>;

/** Takes what sets the session that carried a message free; whoever holds it must call it once. */
export type Hold = (release: () => void) => void;

/** What `findPath` of mx.ts tells, with the site that the hosts are. */
export type SitePath = Exclude<Path, { kind: "hosts" }> | (Extract<Path, { kind: "hosts" }> & { site: Site });

/** The way that a delivery took. */
export type Via = { site: Site; egress: Egress };

/** An outcome and the way to it, or nothing tried: its turn is far away, or the service stops. */
export type Attempted =
  | (Outcome & { via?: Via })
  | { kind: "wait"; untilMs: number; why: string; isBooked?: true; site: Site }
  | { kind: "interrupted" };

/**
 * One attempt: who signs, where to, whether it may go, from where, the message signed, taken there. An error that
 * nobody foresaw is trouble of our own and waits for the next attempt; a message that cannot be signed is not sent.
 */
export const attempt =
  (ports: AttemptPorts) =>
  async (entry: QueueEntry, siteWaitMs: number, hold: Hold, followers?: Followers): Promise<Attempted> => {
    try {
      const signer = await ports.signerOf(entry.domain);
      if (signer === undefined)
        return failure("sender.unsigned", `${entry.domain} has no signing keys here yet, or was taken away`);

      const provider = ports.providers?.of(entry);
      if (provider !== undefined) {
        const place = placeOf(provider);
        const free = ports.leave(entry, place);
        if (free.kind === "wait") return { ...free, site: place };
        followers?.admit();
        return await handedOver(ports, provider, entry, signer, siteWaitMs, hold);
      }

      const path = await ports.findPath(entry.recipient.slice(entry.recipient.lastIndexOf("@") + 1));
      if (path.kind === "none") return { ...path, kind: "failed", isInDoubt: false };
      const { hosts, site } = path;

      const leave = ports.leave(entry, site);
      if (leave.kind === "wait") return { ...leave, site };
      const choice = await ports.egressFor(entry, site);
      const overflow = choice.kind === "overflow" ? ports.providers?.overflow(entry) : undefined;
      if (overflow !== undefined) {
        followers?.admit();
        return await handedOver(ports, overflow, entry, signer, siteWaitMs, hold);
      }
      if (choice.kind !== "egress") return { kind: "wait", untilMs: choice.untilMs, why: choice.why, site };
      const { egress } = choice;

      const origin = originOf(egress.id, entry);
      const returnPath = ports.returnPath(entry.deliveryId, signer.returnPathHost, origin);
      const mailOf = () => composed(ports, entry, signer, returnPath);
      const carried = await ports.carry(mailOf, hosts, wantOf(entry, site, egress), {
        siteWaitMs,
        hold,
        demandOf: (host) => ports.demandOf(host, entry),
        ...(followers === undefined ? {} : { followers }),
      });
      if (carried.kind === "wait" || carried.kind === "interrupted") choice.giveBack();
      if (carried.kind === "interrupted") return carried;
      if (carried.kind === "wait") return { ...carried, site };
      const via = { site, egress };
      if (carried.kind !== "accepted") return { ...carried, via };
      const { reply, conversation } = carried;
      return { kind: "delivered", reply, conversation, dkim: signedWith(signer), returnPath, via };
    } catch (error) {
      ports.log.error("mta.attempt-broke", { deliveryId: entry.deliveryId, attempt: entry.attempt, error });
      return trouble(error);
    }
  };

/** The same by a provider, which knows the way itself. */
async function handedOver(
  ports: AttemptPorts,
  provider: Provider,
  entry: QueueEntry,
  signer: Signer,
  waitMs: number,
  hold: Hold,
): Promise<Attempted> {
  if (entry.requireTls === true && !provider.keepsPromises)
    return {
      ...failure(
        "network.tls",
        `${provider.name} cannot promise the TLS that the message requires (RFC 8689)`,
      ),
      isPermanent: true,
    };
  const site = placeOf(provider);
  const origin = originOf(provider.name, entry);
  const returnPath = ports.returnPath(entry.deliveryId, signer.returnPathHost, origin);
  const mailOf = () => composed(ports, entry, signer, returnPath, provider.rewrites);
  const signal = ports.signal ?? new AbortController().signal;
  const carried = await provider.carry(mailOf, { waitMs, hold, signal });
  if (carried.kind === "wait") return { ...carried, site };
  if (carried.kind === "interrupted") return carried;
  const via: Via = { site, egress: { id: provider.name, ehloName: "" } };
  if (carried.kind !== "accepted") return { ...carried, via };
  const { reply, conversation } = carried;
  return {
    via,
    kind: "delivered",
    reply,
    conversation,
    dkim: provider.keepsSignatures ? signedWith(signer) : [],
    returnPath,
  };
}

/** What holds and breakers know a provider by. */
const placeOf = ({ name }: Provider): Site => ({ id: name, hosts: [] });

const signedWith = ({ keys }: Signer) =>
  keys.map(({ domain, selector, algorithm }) => ({ domain, selector, algorithm }));

const wantOf = (entry: QueueEntry, site: Site, egress: Egress): Want => ({
  egress,
  site: site.id,
  provider: site.provider,
  traffic: trafficOf(entry),
  owner: `${entry.organizationId}/${entry.campaign ?? ""}`,
});

async function composed(
  { contentOf, personalFields }: AttemptPorts,
  entry: QueueEntry,
  { keys, returnPathHost }: Signer,
  returnPath: Address,
  rewritten?: readonly string[],
): Promise<Mail> {
  const content = await contentOf(entry);
  const personal = entry.unsubscribe === true ? personalFields(entry.deliveryId, returnPathHost) : undefined;
  const signed = await content.signed(keys, personal, rewritten);
  return {
    envelopeId: entry.deliveryId,
    from: returnPath,
    to: entry.recipient,
    parts: [signed, ...(personal === undefined ? [] : [personal]), content.bytes],
    has8Bit: content.has8Bit,
    ...(entry.requireTls === true ? { requireTls: true } : {}),
  };
}

/** A body that is gone stays gone; everything else may be better at the next attempt. */
function trouble(error: unknown): Failed {
  const { code, message } = toFailure(error);
  const isGone = error instanceof Failure && code === "resource.unknown";
  return {
    ...failure(
      "local.trouble",
      isGone ? "the message's body is no longer in storage" : `${code}: ${message}`,
    ),
    isPermanent: isGone,
  };
}
