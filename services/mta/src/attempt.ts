import {
  type Address,
  type DeliveryId,
  type Domain,
  Failure,
  type QueueEntry,
  toFailure,
} from "@tyto/contracts";
import type { Log } from "@tyto/service";
import type { Content } from "./contents.ts";
import type { Carried } from "./courier.ts";
import type { Choice } from "./egress/egresses.ts";
import type { Host, Path } from "./mx.ts";
import type { Failed, Outcome } from "./outcome.ts";
import type { Providers } from "./providers/choice.ts";
import type { Provider } from "./providers/provider.ts";
import type { Signer } from "./signers.ts";
import type { Mail } from "./smtp.ts";
import type { Demand } from "./tls/demand.ts";

/** The outside world, as one attempt needs it. */
export type AttemptPorts = {
  signerOf(domain: Domain): Promise<Signer | undefined>;
  findPath(domain: string): Promise<Path>;
  contentOf(entry: QueueEntry): Promise<Content>;
  returnPath(id: DeliveryId, host: Domain): Address;
  /** Header fields that this recipient's copy has of its own. */
  personalFields(id: DeliveryId, host: Domain): Buffer;
  /** What a session to a host has to be for this entry. */
  demandOf(host: Host, entry: QueueEntry): Promise<Demand>;
  /** Through which of our addresses it goes to these hosts; absent where there is only one. */
  wayOut?(entry: QueueEntry, hosts: readonly Host[]): Promise<Choice>;
  carry(
    mailOf: MailOf,
    hosts: readonly Host[],
    siteWaitMs: number,
    hold: Hold,
    demandOf: (host: Host) => Promise<Demand>,
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

/** An outcome, or nothing tried: every connection to the site is in use, the service stops, or it may not be sent yet. */
export type Attempted =
  | Outcome
  | { kind: "busy" }
  | { kind: "interrupted" }
  /** Not an attempt: it is looked at again at that time. */
  | { kind: "wait"; untilMs: number; why: string };

/**
 * One attempt: who signs, where to, the message signed, taken there. An error that nobody foresaw is trouble of our own
 * and waits for the next attempt; a message that cannot be signed is not sent.
 */
export const attempt =
  (ports: AttemptPorts) =>
  async (entry: QueueEntry, siteWaitMs: number, hold: Hold): Promise<Attempted> => {
    try {
      const signer = await ports.signerOf(entry.domain);
      if (signer === undefined)
        return failed("sender.unsigned", `${entry.domain} has no signing keys here yet, or was taken away`);

      const provider = ports.providers?.of(entry);
      if (provider !== undefined) return await handedOver(ports, provider, entry, signer, siteWaitMs, hold);

      const path = await ports.findPath(entry.recipient.slice(entry.recipient.lastIndexOf("@") + 1));
      if (path.kind === "none") return { ...path, kind: "failed", isInDoubt: false };

      const way = await ports.wayOut?.(entry, path.hosts);
      const overflow = way?.kind === "overflow" ? ports.providers?.overflow(entry) : undefined;
      if (overflow !== undefined) return await handedOver(ports, overflow, entry, signer, siteWaitMs, hold);
      if (way !== undefined && way.kind !== "egress")
        return { kind: "wait", untilMs: way.untilMs, why: way.why };
      const hosts =
        way === undefined ? path.hosts : path.hosts.map((host) => ({ ...host, egress: way.egress }));

      const returnPath = ports.returnPath(entry.deliveryId, signer.returnPathHost);
      const mailOf = () => composed(ports, entry, signer, returnPath);
      const carried = await ports.carry(mailOf, hosts, siteWaitMs, hold, (host) =>
        ports.demandOf(host, entry),
      );
      if (carried.kind === "busy" || carried.kind === "interrupted") way?.giveBack();
      if (carried.kind !== "accepted") return carried;
      const { reply, conversation } = carried;
      return { kind: "delivered", reply, conversation, dkim: signedWith(signer), returnPath };
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
      ...failed(
        "network.tls",
        `${provider.name} cannot promise the TLS that the message requires (RFC 8689)`,
      ),
      isPermanent: true,
    };
  const returnPath = ports.returnPath(entry.deliveryId, signer.returnPathHost);
  const mailOf = () => composed(ports, entry, signer, returnPath, provider.rewrites);
  const signal = ports.signal ?? new AbortController().signal;
  const carried = await provider.carry(mailOf, { waitMs, hold, signal });
  if (carried.kind !== "accepted") return carried;
  const { reply, conversation } = carried;
  return {
    kind: "delivered",
    reply,
    conversation,
    dkim: provider.keepsSignatures ? signedWith(signer) : [],
    returnPath,
  };
}

const signedWith = ({ keys }: Signer) =>
  keys.map(({ domain, selector, algorithm }) => ({ domain, selector, algorithm }));

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

const failed = (reason: Failed["reason"], explanation: string): Failed => ({
  kind: "failed",
  isPermanent: false,
  reason,
  explanation,
  isInDoubt: false,
});

/** A body that is gone stays gone; everything else may be better at the next attempt. */
function trouble(error: unknown): Failed {
  const { code, message } = toFailure(error);
  const isGone = error instanceof Failure && code === "resource.unknown";
  return {
    ...failed("local.trouble", isGone ? "the message's body is no longer in storage" : `${code}: ${message}`),
    isPermanent: isGone,
  };
}
