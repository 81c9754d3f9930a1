/**
 * Applies events: each once, by its id, in any order. A row of `timeline` (or of `inbound`) carries the id of the event
 * that made it, in the same transaction as everything else the event changes. Messages that several events of a batch
 * concern are read and written once.
 */
import {
  type AcceptedMessage,
  type Payload,
  providerOf,
  type StoredEvent,
  unknownRecipient,
} from "@tyto/contracts";
import type { WithoutSystemFields } from "convex/server";
import type { Doc } from "../_generated/dataModel";
import type { MutationCtx } from "../_generated/server";
import { addBreakdown, type Happening } from "./breakdowns.ts";
import { addCounts, addTotal, type Counted, type Counts, noCounts } from "./counters.ts";
import { type Delivery, openDeliveries } from "./deliveriesInHand.ts";
import { type Claim, claims, touched, untouched, withClaim } from "./delivery.ts";
import { applyDmarcReport } from "./dmarcReports.ts";
import { keepFirstKeys } from "./domains.ts";
import { addFailure, failureIn } from "./failures.ts";
import { applyHeld, applyReleased } from "./holds.ts";
import { receive } from "./inbound.ts";
import { detailsOf, messageStatus, noMarks, noTally, timeOf, withOutcome } from "./message.ts";
import { floorTo, minuteMs } from "./periods.ts";
import { applyQuarantined, applyUnquarantined } from "./quarantines.ts";
import { addReply } from "./replies.ts";
import type { Failure, Marks, SuppressionWish } from "./shapes.ts";
import { causeOf, type Suppression, stronger, suppress, suppresses, wishOf } from "./suppressions.ts";
import { addToTimeline, isOnTimeline, type MessageEvent, replyIn } from "./timeline.ts";
import { applyTlsReport } from "./tlsReports.ts";

type Message = WithoutSystemFields<Doc<"messages">>;

/** The order of arrival must leave no trace. */
const byTime = (a: Failure, b: Failure) => a.at - b.at || (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);

/** Failures of one message that wait for its domain. More are counted under `unknown`. */
const uncountedMax = 100;

export async function applyEvents(
  ctx: MutationCtx,
  events: readonly StoredEvent[],
): Promise<{ applied: number; repeated: number }> {
  const batch = openBatch(ctx);
  let applied = 0;
  for (const event of events) if (await applyEvent(ctx, batch, event)) applied += 1;
  await batch.close();
  return { applied, repeated: events.length - applied };
}

/** False if the event was applied before. */
async function applyEvent(ctx: MutationCtx, batch: Batch, event: StoredEvent): Promise<boolean> {
  if (event.subject === "domain.keyed") return await keepFirstKeys(ctx, event.payload);
  if (event.subject === "mail.received") {
    const isNew = await receive(ctx, event.payload);
    if (isNew) batch.happened(happeningOf(event.payload));
    return isNew;
  }
  if (event.subject === "report.dmarc") return await applyDmarcReport(ctx, event.payload);
  if (event.subject === "report.tls") return await applyTlsReport(ctx, event.payload);
  if (event.subject === "sending.held") return await applyHeld(ctx, event.payload);
  if (event.subject === "sending.released") return await applyReleased(ctx, event.payload);
  if (event.subject === "egress.quarantined") return await applyQuarantined(ctx, event.payload);
  if (event.subject === "egress.released") return await applyUnquarantined(ctx, event.payload);
  const { payload } = event;
  const message = await batch.message(payload.messageId, payload.organizationId);
  if (batch.isRepeated(payload.id)) return false;
  if ((await message.mayHave(event)) && (await isOnTimeline(ctx, payload.id))) return false;
  message.touch(payload.at);
  await addToTimeline(ctx, event);
  const reply = replyIn(event);
  if (reply !== undefined) message.heard({ at: payload.at, eventId: payload.id, text: reply });
  const failure = failureIn(event);
  if (failure !== undefined) {
    await addFailure(ctx, event, failure);
    message.failed(failure);
  }

  switch (event.subject) {
    case "mail.accepted":
    case "mail.submitted":
      await message.describe(event.payload);
      break;
    case "mail.scanned":
      message.mark("scanned");
      await message.describe(event.payload.message);
      break;
    case "mail.held":
      message.mark("held");
      break;
    case "mail.refused":
      message.mark("refused");
      break;
    case "mail.cancelled":
      message.mark("cancelled");
      break;
    case "mail.suppressed":
      await message.claim(event.payload, claims["mail.suppressed"](event.payload));
      break;
    case "mail.deferred":
      await message.claim(event.payload, claims["mail.deferred"](event.payload));
      batch.count("deferred", event.payload.at);
      break;
    case "mail.delivered":
      await message.claim(event.payload, claims["mail.delivered"](event.payload));
      batch.count("delivered", event.payload.at);
      break;
    case "mail.bounced":
      await message.claim(
        event.payload,
        claims["mail.bounced"](event.payload),
        suppresses(event.payload) ? causeOf(event.payload) : undefined,
      );
      batch.count("bounced", event.payload.at);
      break;
    case "mail.reported":
      // "delayed" and "relayed" tell of the mail's way behind the server that took it: a line of the timeline, no new outcome.
      break;
    case "mail.complained": {
      const wish = wishOf(event.payload);
      if (wish !== undefined) await message.unwanted(event.payload, wish);
      break;
    }
    case "mail.unsubscribed":
      await message.unwanted(event.payload, {
        since: event.payload.at,
        cause: "unsubscribe",
        evidence: `unsubscribed by ${event.payload.method}`,
      });
      break;
    case "mail.replied":
      await addReply(ctx, event.payload);
      break;
  }
  return true;
}

const happeningOf = ({ at, kind, envelopeFrom, envelopeTo }: Payload<"mail.received">): Happening => ({
  kind: "inbound",
  at,
  reason: kind,
  hard: false,
  provider: providerOf(envelopeFrom),
  domain: envelopeTo.slice(envelopeTo.lastIndexOf("@") + 1).toLowerCase(),
});

type AboutDelivery = Pick<Payload<"mail.suppressed">, "deliveryId" | "recipient" | "at"> & {
  source?: "smtp" | "dsn";
};
type Batch = ReturnType<typeof openBatch>;

function openBatch(ctx: MutationCtx) {
  const open = new Map<string, Awaited<ReturnType<typeof openMessage>>>();
  const perMinute = new Map<number, Counts>();
  const suppressions: Suppression[] = [];
  const happenings: Happening[] = [];
  const seen = new Set<string>();
  let described = 0;

  const count = (name: Counted, at: number, add = 1) => {
    const minute = floorTo(at, minuteMs);
    const counts = perMinute.get(minute) ?? noCounts();
    counts[name] += add;
    perMinute.set(minute, counts);
  };
  return {
    count,
    happened: (happening: Happening) => void happenings.push(happening),
    /** True from the second time that this batch names the event. */
    isRepeated: (eventId: string) => {
      const isRepeated = seen.has(eventId);
      seen.add(eventId);
      return isRepeated;
    },
    message: async (messageId: string, organizationId: string) => {
      let message = open.get(messageId);
      if (message === undefined) {
        message = await openMessage(ctx, messageId, organizationId, {
          onDescribed: (details) => {
            described += 1;
            count("accepted", details.at, details.recipients.length);
          },
          onSuppressed: (suppression) => void suppressions.push(suppression),
          onFailed: (failure, domain) => void happenings.push({ ...failure, domain }),
        });
        open.set(messageId, message);
      }
      return message;
    },
    close: async () => {
      for (const message of open.values()) await message.close();
      await addTotal(ctx, "messages", described);
      await addCounts(ctx, perMinute);
      await addBreakdown(ctx, happenings);
      await suppress(ctx, suppressions);
    },
  };
}

/** One message in hand: changes gather here and are written by `close`. */
async function openMessage(
  ctx: MutationCtx,
  messageId: string,
  organizationId: string,
  tell: {
    onDescribed(details: AcceptedMessage): void;
    onSuppressed(suppression: Suppression): void;
    onFailed(failure: Failure, domain: string): void;
  },
) {
  const stored = await ctx.db
    .query("messages")
    .withIndex("by_messageId", (range) => range.eq("messageId", messageId))
    .unique();
  let message: Message = {
    messageId,
    organizationId,
    status: "accepted",
    acceptedAt: timeOf(messageId),
    updatedAt: 0,
    marks: noMarks,
    tally: noTally,
    deliveryCount: 0,
    ...stored,
  };
  let added: string[] = [];
  let isTouched = false;

  /** The delivery with the address that we sent to; what waited for it to be suppressed suppresses it now. */
  const withAddress = ({ suppression, ...delivery }: Delivery, address: string): Delivery => {
    const addressed = { ...delivery, address, addressKey: address.toLowerCase(), isAddressSure: true };
    if (suppression !== undefined)
      tell.onSuppressed({ organizationId, address, cause: "bounce", messageId, ...suppression });
    return addressed;
  };

  const deliveries = openDeliveries(ctx, messageId, stored === null);

  /** Suppresses the address of a delivery, now or as soon as it is known. `at` is when it was heard of, or 0. */
  const suppressDelivery = async (deliveryId: string, at: number, wish: SuppressionWish) => {
    const known = await deliveries.find(deliveryId);
    const before: Delivery = known ?? {
      ...newDelivery(messageId, deliveryId, unknownRecipient, at),
      isAddressSure: false,
    };
    let delivery: Delivery = {
      ...before,
      state: touched(before.state, at),
      suppression: stronger(before.suppression, wish),
    };
    if (delivery.isAddressSure) delivery = withAddress(delivery, delivery.address);
    deliveries.keep(delivery);
    if (known === undefined) message.deliveryCount += 1;
  };

  return {
    /** False when the rows that it would have left tell that the event was not applied: that spares the timeline. */
    mayHave: async (event: MessageEvent): Promise<boolean> => {
      // The message's row comes with its first event.
      if (stored === null) return false;
      const { payload } = event;
      if (!("attempt" in payload) || payload.attempt === undefined) return true;
      // An outcome leaves the delivery with at least its attempt (withClaim).
      const delivery = await deliveries.find(payload.deliveryId);
      return delivery !== undefined && delivery.state.attempts >= payload.attempt;
    },
    touch: (at: number) => {
      isTouched = true;
      message.updatedAt = Math.max(message.updatedAt, at);
    },
    mark: (name: keyof Marks) => {
      message.marks = { ...message.marks, [name]: true };
    },
    heard: (reply: { at: number; eventId: string; text: string }) => {
      const last = message.lastReply;
      const isLater =
        last === undefined || reply.at > last.at || (reply.at === last.at && reply.eventId > last.eventId);
      if (isLater) message.lastReply = reply;
    },
    /** Takes over who, what and to whom; once, since every event that says it says the same. */
    describe: async (event: AcceptedMessage) => {
      if (message.details !== undefined) return;
      message.details = detailsOf(event);
      message.domain = event.domain;
      message.acceptedAt = event.at;
      added = message.details.tags;
      if (message.deliveryCount > 0) await deliveries.readAll(event.recipients.length);
      for (const [index, { address, role }] of event.recipients.entries()) {
        const deliveryId = `${messageId}-${index}`;
        const delivery = deliveries.known(deliveryId);
        if (delivery === undefined)
          deliveries.keep({ ...newDelivery(messageId, deliveryId, address, event.at), role });
        else {
          const state = touched(delivery.state, event.at);
          deliveries.keep({ ...withAddress(delivery, address), role, state });
        }
      }
      message.deliveryCount = Math.max(message.deliveryCount, event.recipients.length);
      tell.onDescribed(event);
      const { complaint, uncounted = [], ...rest } = message;
      message = rest;
      for (const failure of uncounted) tell.onFailed(failure, event.domain);
      if (complaint !== undefined && event.recipients.length === 1)
        await suppressDelivery(`${messageId}-0`, 0, complaint);
    },
    failed: (failure: Failure) => {
      if (message.domain !== undefined) return tell.onFailed(failure, message.domain);
      const waiting = message.uncounted ?? [];
      if (waiting.length === uncountedMax) return tell.onFailed(failure, "unknown");
      message.uncounted = [...waiting, failure].sort(byTime);
    },
    /** The recipient of a delivery wants no mail; without a delivery id the message's only recipient, if it has only one. */
    unwanted: async (event: { deliveryId?: string | undefined; at: number }, wish: SuppressionWish) => {
      if (event.deliveryId !== undefined) return await suppressDelivery(event.deliveryId, event.at, wish);
      if (message.details === undefined) message.complaint = stronger(message.complaint, wish);
      else if (message.details.recipientCount === 1) await suppressDelivery(`${messageId}-0`, 0, wish);
    },
    /** `cause` is there when the event suppresses the recipient. */
    claim: async (event: AboutDelivery, claim: Claim, cause?: SuppressionWish) => {
      const known = await deliveries.find(event.deliveryId);
      let delivery: Delivery = known ?? {
        ...newDelivery(messageId, event.deliveryId, event.recipient, event.at),
        isAddressSure: false,
      };
      if (cause !== undefined) delivery = { ...delivery, suppression: stronger(delivery.suppression, cause) };
      // The recipient that a report names may be where an alias led; what we sent to is what the others say.
      if (event.source !== "dsn") delivery = withAddress(delivery, event.recipient);
      else if (delivery.isAddressSure) delivery = withAddress(delivery, delivery.address);
      const state = withClaim(delivery.state, claim);
      message.tally = withOutcome(message.tally, delivery.state.outcome, state.outcome);
      deliveries.keep({ ...delivery, state });
      if (known === undefined) message.deliveryCount += 1;
    },
    close: async () => {
      if (!isTouched) return;
      await deliveries.close();
      const { marks, tally, deliveryCount, details } = message;
      message.status = messageStatus(marks, tally, deliveryCount, details?.scheduledAt);
      if (stored === null) await ctx.db.insert("messages", message);
      else await ctx.db.replace(stored._id, message);
      for (const tag of added) await ctx.db.insert("messageTags", { tag, status: message.status, messageId });
      const tagged = stored?.details?.tags.length ?? 0;
      if (tagged > 0 && stored?.status !== message.status)
        await retag(ctx, messageId, message.status, tagged);
    },
  };
}

const newDelivery = (messageId: string, deliveryId: string, address: string, at: number): Delivery => ({
  deliveryId,
  messageId,
  address,
  addressKey: address.toLowerCase(),
  isAddressSure: true,
  state: untouched(at),
});

async function retag(ctx: MutationCtx, messageId: string, status: Message["status"], tags: number) {
  const rows = await ctx.db
    .query("messageTags")
    .withIndex("by_messageId", (range) => range.eq("messageId", messageId))
    .take(tags);
  for (const row of rows) await ctx.db.patch(row._id, { status });
}
