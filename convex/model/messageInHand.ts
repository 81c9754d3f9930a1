import { type AcceptedMessage, unknownRecipient } from "@tyto/contracts";
import type { WithoutSystemFields } from "convex/server";
import type { Doc } from "../_generated/dataModel";
import type { MutationCtx } from "../_generated/server";
import { type Delivery, openDeliveries } from "./deliveriesInHand.ts";
import { type Claim, touched, untouched, withClaim } from "./delivery.ts";
import { detailsOf, messageStatus, noMarks, noTally, timeOf, withOutcome } from "./message.ts";
import { eventsHeldMax, type Failure, type Marks, type SuppressionWish } from "./shapes.ts";
import { type Suppression, stronger } from "./suppressions.ts";
import { addToTimeline, heldEventOf, holdsAll, isOnTimeline, type MessageEvent } from "./timeline.ts";

type Message = WithoutSystemFields<Doc<"messages">>;
type AboutDelivery = {
  deliveryId: string;
  recipient: string;
  at: number;
  source?: "smtp" | "dsn" | undefined;
};

/** What follows from a message beyond its own rows. */
export type MessageTold = {
  onDescribed(details: AcceptedMessage): void;
  onSuppressed(suppression: Suppression): void;
  onFailed(failure: Failure, domain: string): void;
  /** A failure counts no more that `onFailed` told of, now or in an earlier batch. */
  onTakenBack(failure: Failure, domain: string): void;
};

/** Failures of one message that wait for its domain. More are counted under `unknown`. */
const uncountedMax = 100;

/** The row of a message, read or new; what is told of it is written once, when it is closed. */
export async function openMessage(
  ctx: MutationCtx,
  messageId: string,
  organizationId: string,
  tell: MessageTold,
): Promise<MessageInHand> {
  const stored = await ctx.db
    .query("messages")
    .withIndex("by_messageId", (range) => range.eq("messageId", messageId))
    .unique();
  return new MessageInHand(ctx, stored, { messageId, organizationId }, tell);
}

/** One message while a batch of events is applied: changes gather here and are written by `close`. */
export class MessageInHand {
  readonly #ctx: MutationCtx;
  readonly #stored: Doc<"messages"> | null;
  readonly #tell: MessageTold;
  readonly #deliveries: ReturnType<typeof openDeliveries>;
  #message: Message;
  #addedTags: string[] = [];
  #isTouched = false;

  constructor(
    ctx: MutationCtx,
    stored: Doc<"messages"> | null,
    { messageId, organizationId }: Pick<Message, "messageId" | "organizationId">,
    tell: MessageTold,
  ) {
    this.#ctx = ctx;
    this.#stored = stored;
    this.#tell = tell;
    this.#deliveries = openDeliveries(ctx, messageId, stored === null);
    this.#message =
      stored === null
        ? {
            messageId,
            organizationId,
            status: "accepted",
            acceptedAt: timeOf(messageId),
            updatedAt: 0,
            marks: noMarks,
            tally: noTally,
            deliveryCount: 0,
            events: [],
          }
        : withoutSystemFields(stored);
    const [address] = stored?.details?.preview ?? [];
    if (stored?.only !== undefined && address !== undefined)
      this.#deliveries.holdOnly({
        ...newDelivery(messageId, this.#deliveryId(0), address, 0),
        ...stored.only,
      });
  }

  /** Whether the event was applied by an earlier batch. */
  async has({ payload }: MessageEvent): Promise<boolean> {
    const stored = this.#stored;
    // The message's row comes with its first event.
    if (stored === null) return false;
    if (stored.events?.some(({ eventId }) => eventId === payload.id) === true) return true;
    if (holdsAll(stored)) return false;
    if ("attempt" in payload && payload.attempt !== undefined) {
      // An outcome leaves the delivery with at least its attempt (withClaim): that spares the timeline.
      const delivery = await this.#deliveries.find(payload.deliveryId);
      if (delivery === undefined || delivery.state.attempts < payload.attempt) return false;
    }
    return await isOnTimeline(this.#ctx, payload.id);
  }

  /** Puts the event on the timeline. */
  async add(event: MessageEvent): Promise<void> {
    const { events, updatedAt } = this.#message;
    this.#isTouched = true;
    this.#message.updatedAt = Math.max(updatedAt, event.payload.at);
    // Old rows hold none: their events are all on the timeline.
    if (events === undefined || events.length >= eventsHeldMax) await addToTimeline(this.#ctx, event);
    else this.#message.events = [...events, heldEventOf(event)];
  }

  mark(name: keyof Marks): void {
    this.#message.marks = { ...this.#message.marks, [name]: true };
  }

  heard(reply: { at: number; eventId: string; text: string }): void {
    const last = this.#message.lastReply;
    const isLater =
      last === undefined || reply.at > last.at || (reply.at === last.at && reply.eventId > last.eventId);
    if (isLater) this.#message.lastReply = reply;
  }

  /** Takes over who, what and to whom; once, since every event that says it says the same. */
  async describe(event: AcceptedMessage): Promise<void> {
    const message = this.#message;
    if (message.details !== undefined) return;
    message.details = detailsOf(event);
    message.domain = event.domain;
    message.acceptedAt = event.at;
    this.#addedTags = message.details.tags;
    await this.#address(event);
    this.#tell.onDescribed(event);
    await this.#countWhatWaited(event);
  }

  failed(failure: Failure): void {
    const { domain, uncounted = [] } = this.#message;
    if (domain !== undefined) this.#tell.onFailed(failure, domain);
    else if (uncounted.length === uncountedMax) this.#tell.onFailed(failure, "unknown");
    else this.#message.uncounted = [...uncounted, failure].sort(byTime);
  }

  /** It counts no more: something better founded takes its place. */
  takeBack(failure: Failure): void {
    const { domain, uncounted = [] } = this.#message;
    const waiting = uncounted.findIndex((one) => keyOf(one) === keyOf(failure));
    if (waiting >= 0) this.#message.uncounted = uncounted.toSpliced(waiting, 1);
    else this.#tell.onTakenBack(failure, domain ?? "unknown");
  }

  /** Whether of all bounces of its delivery that are known the event is the one that counts. */
  async isBounceOfDelivery({ deliveryId, id }: { deliveryId: string; id: string }): Promise<boolean> {
    return (await this.#deliveries.find(deliveryId))?.state.bounce?.eventId === id;
  }

  /** The recipient of a delivery wants no mail; without a delivery id the message's only recipient, if it has only one. */
  async unwanted(
    event: { deliveryId?: string | undefined; at: number },
    wish: SuppressionWish,
  ): Promise<void> {
    const { details, complaint } = this.#message;
    if (event.deliveryId !== undefined) await this.#suppress(event.deliveryId, event.at, wish);
    else if (details === undefined) this.#message.complaint = stronger(complaint, wish);
    else if (details.recipientCount === 1) await this.#suppress(this.#deliveryId(0), 0, wish);
  }

  /** `cause` is there when the event suppresses the recipient. */
  async claim(event: AboutDelivery, claim: Claim, cause?: SuppressionWish): Promise<void> {
    await this.#change(event.deliveryId, event.recipient, event.at, (before) => {
      const delivery =
        cause === undefined ? before : { ...before, suppression: stronger(before.suppression, cause) };
      const state = withClaim(before.state, claim);
      this.#message.tally = withOutcome(this.#message.tally, before.state.outcome, state.outcome);
      // The recipient that a report names may be where an alias led; what we sent to is what the others say.
      const address = event.source === "dsn" ? sureAddress(delivery) : event.recipient;
      return { ...(address === undefined ? delivery : this.#withAddress(delivery, address)), state };
    });
  }

  async close(): Promise<void> {
    if (!this.#isTouched) return;
    const { marks, tally, deliveryCount, details } = this.#message;
    const only = await this.#deliveries.close(
      details?.recipientCount === 1 ? this.#deliveryId(0) : undefined,
    );
    if (only !== undefined) this.#message.only = only;
    this.#message.status = messageStatus(marks, tally, deliveryCount, details?.scheduledAt);
    if (this.#stored === null) await this.#ctx.db.insert("messages", this.#message);
    else await this.#ctx.db.patch(this.#stored._id, changesBetween(this.#stored, this.#message));
    await this.#tag();
  }

  #deliveryId(index: number): string {
    return `${this.#message.messageId}-${index}`;
  }

  /** Gives each delivery its address: those that are known from other events, and new ones. */
  async #address(event: AcceptedMessage): Promise<void> {
    const { messageId, deliveryCount } = this.#message;
    if (deliveryCount > 0) await this.#deliveries.readAll(event.recipients.length);
    for (const [index, { address, role }] of event.recipients.entries()) {
      const known = this.#deliveries.known(this.#deliveryId(index));
      const delivery =
        known === undefined
          ? newDelivery(messageId, this.#deliveryId(index), address, event.at)
          : { ...this.#withAddress(known, address), state: touched(known.state, event.at) };
      this.#deliveries.keep({ ...delivery, role });
    }
    this.#message.deliveryCount = Math.max(deliveryCount, event.recipients.length);
  }

  /** What was heard before the message was described. */
  async #countWhatWaited(event: AcceptedMessage): Promise<void> {
    const { complaint, uncounted = [], ...rest } = this.#message;
    this.#message = rest;
    for (const failure of uncounted) this.#tell.onFailed(failure, event.domain);
    if (complaint !== undefined && event.recipients.length === 1)
      await this.#suppress(this.#deliveryId(0), 0, complaint);
  }

  /** Suppresses the address of a delivery, now or as soon as it is known. `at` is when it was heard of, or 0. */
  async #suppress(deliveryId: string, at: number, wish: SuppressionWish): Promise<void> {
    await this.#change(deliveryId, unknownRecipient, at, (before) => {
      const state = touched(before.state, at);
      const delivery = { ...before, state, suppression: stronger(before.suppression, wish) };
      const address = sureAddress(delivery);
      return address === undefined ? delivery : this.#withAddress(delivery, address);
    });
  }

  /** A delivery that was not heard of yet begins with what the event says of it, which may be wrong about its address. */
  async #change(
    deliveryId: string,
    recipient: string,
    at: number,
    change: (before: Delivery) => Delivery,
  ): Promise<void> {
    const known = await this.#deliveries.find(deliveryId);
    if (known === undefined) this.#message.deliveryCount += 1;
    const { messageId } = this.#message;
    const before = known ?? { ...newDelivery(messageId, deliveryId, recipient, at), isAddressSure: false };
    this.#deliveries.keep(change(before));
  }

  /** The delivery with the address that we sent to; what waited for it to be suppressed suppresses it now. */
  #withAddress({ suppression, ...delivery }: Delivery, address: string): Delivery {
    const { messageId, organizationId } = this.#message;
    if (suppression !== undefined)
      this.#tell.onSuppressed({ organizationId, address, cause: "bounce", messageId, ...suppression });
    return { ...delivery, address, addressKey: address.toLowerCase(), isAddressSure: true };
  }

  async #tag(): Promise<void> {
    const { messageId, status } = this.#message;
    for (const tag of this.#addedTags) await this.#ctx.db.insert("messageTags", { tag, status, messageId });
    const tagged = this.#stored?.details?.tags.length ?? 0;
    if (tagged === 0 || this.#stored?.status === status) return;
    const rows = await this.#ctx.db
      .query("messageTags")
      .withIndex("by_messageId", (range) => range.eq("messageId", messageId))
      .take(tagged);
    for (const row of rows) await this.#ctx.db.patch(row._id, { status });
  }
}

const withoutSystemFields = ({ _id, _creationTime: _when, ...message }: Doc<"messages">): Message => message;

/** The members that are other ones now; those that are gone as `undefined`, which removes them. */
function changesBetween(stored: Doc<"messages">, after: Message): Partial<Message> {
  const before = withoutSystemFields(stored);
  const names = Object.keys({ ...before, ...after }) as (keyof Message)[];
  return Object.fromEntries(
    names.flatMap((name) => (after[name] === before[name] ? [] : [[name, after[name]]])),
  );
}

/** The order of arrival must leave no trace. */
const byTime = (a: Failure, b: Failure) => a.at - b.at || (keyOf(a) < keyOf(b) ? -1 : 1);
const keyOf = ({ kind, at, reason, hard, provider }: Failure) => [kind, at, reason, hard, provider].join(" ");

const sureAddress = ({ isAddressSure, address }: Delivery) => (isAddressSure ? address : undefined);

const newDelivery = (messageId: string, deliveryId: string, address: string, at: number): Delivery => ({
  deliveryId,
  messageId,
  address,
  addressKey: address.toLowerCase(),
  isAddressSure: true,
  state: untouched(at),
});
