/**
 * Applies events: each once, by its id, in any order. The row of a message, of `timeline` or of `inbound` carries the id of
 * the event, in the same transaction as everything else the event changes. Messages that several events of a batch
 * concern are read and written once.
 */
import { type Payload, providerOf, type StoredEvent, suppresses } from "@tyto/contracts";
import type { MutationCtx } from "../_generated/server";
import { addBreakdown, type Happening, takeFromBreakdown } from "./breakdowns.ts";
import { addCounts, addTotal, type Counted, type Counts, noCounts } from "./counters.ts";
import { claims } from "./delivery.ts";
import { applyDmarcReport } from "./dmarcReports.ts";
import { keepFirstKeys } from "./domains.ts";
import { addFailure, failureIn, takeBounce } from "./failures.ts";
import { applyHeld, applyReleased } from "./holds.ts";
import { receive } from "./inbound.ts";
import { type MessageInHand, openMessage } from "./messageInHand.ts";
import { floorTo, minuteMs } from "./periods.ts";
import { applyQuarantined, applyUnquarantined } from "./quarantines.ts";
import { addReply } from "./replies.ts";
import { causeOf, type Suppression, suppress, wishOf } from "./suppressions.ts";
import { type MessageEvent, replyIn } from "./timeline.ts";
import { applyTlsReport } from "./tlsReports.ts";

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
  switch (event.subject) {
    case "domain.keyed":
      return await keepFirstKeys(ctx, event.payload);
    case "mail.received": {
      const isNew = await receive(ctx, event.payload);
      if (isNew) batch.happened(happeningOf(event.payload));
      return isNew;
    }
    case "report.dmarc":
      return await applyDmarcReport(ctx, event.payload);
    case "report.tls":
      return await applyTlsReport(ctx, event.payload);
    case "sending.held":
      return await applyHeld(ctx, event.payload);
    case "sending.released":
      return await applyReleased(ctx, event.payload);
    case "egress.quarantined":
      return await applyQuarantined(ctx, event.payload);
    case "egress.released":
      return await applyUnquarantined(ctx, event.payload);
    default:
      return await applyToMessage(ctx, batch, event);
  }
}

async function applyToMessage(ctx: MutationCtx, batch: Batch, event: MessageEvent): Promise<boolean> {
  const { payload } = event;
  const message = await batch.message(payload.messageId, payload.organizationId);
  if (batch.isRepeated(payload.id)) return false;
  if (await message.has(event)) return false;
  await message.add(event);
  const reply = replyIn(event);
  if (reply !== undefined) message.heard({ at: payload.at, eventId: payload.id, text: reply });
  await change(ctx, message, event);
  await count(ctx, batch, message, event);
  return true;
}

/** A delivery bounces once: of its bounces only the best founded counts, in the place of the one that did before. */
async function count(ctx: MutationCtx, batch: Batch, message: MessageInHand, event: MessageEvent) {
  if (event.subject === "mail.bounced") {
    if (!(await message.isBounceOfDelivery(event.payload))) return;
    const before = await takeBounce(ctx, event.payload.deliveryId);
    if (before !== undefined) {
      message.takeBack(before);
      batch.count("bounced", before.at, -1);
    }
  }
  const counted = countedAs[event.subject];
  if (counted !== undefined) batch.count(counted, event.payload.at);
  const failure = failureIn(event);
  if (failure === undefined) return;
  await addFailure(ctx, event, failure);
  message.failed(failure);
}

/** Outcomes that the counters of each minute know. */
const countedAs: { [S in MessageEvent["subject"]]?: Counted } = {
  "mail.deferred": "deferred",
  "mail.delivered": "delivered",
  "mail.bounced": "bounced",
};

/** What the event says about its message and its recipients. */
async function change(ctx: MutationCtx, message: MessageInHand, event: MessageEvent): Promise<void> {
  switch (event.subject) {
    case "mail.accepted":
    case "mail.submitted":
      return await message.describe(event.payload);
    case "mail.scanned":
      message.mark("scanned");
      return await message.describe(event.payload.message);
    case "mail.held":
      return message.mark("held");
    case "mail.refused":
      return message.mark("refused");
    case "mail.cancelled":
      return message.mark("cancelled");
    case "mail.suppressed":
      return await message.claim(event.payload, claims["mail.suppressed"](event.payload));
    case "mail.deferred":
      return await message.claim(event.payload, claims["mail.deferred"](event.payload));
    case "mail.delivered":
      return await message.claim(event.payload, claims["mail.delivered"](event.payload));
    case "mail.bounced": {
      const cause = suppresses(event.payload) ? causeOf(event.payload) : undefined;
      return await message.claim(event.payload, claims["mail.bounced"](event.payload), cause);
    }
    case "mail.reported":
      // "delayed" and "relayed" tell of the mail's way behind the server that took it: a line of the timeline, no new outcome.
      return;
    case "mail.complained": {
      const wish = wishOf(event.payload);
      if (wish !== undefined) await message.unwanted(event.payload, wish);
      return;
    }
    case "mail.unsubscribed": {
      const { at, method } = event.payload;
      const evidence = `unsubscribed by ${method}`;
      return await message.unwanted(event.payload, { since: at, cause: "unsubscribe", evidence });
    }
    case "mail.replied":
      return await addReply(ctx, event.payload);
  }
}

const happeningOf = ({ at, kind, envelopeFrom, envelopeTo }: Payload<"mail.received">): Happening => ({
  kind: "inbound",
  at,
  reason: kind,
  hard: false,
  provider: providerOf(envelopeFrom),
  domain: envelopeTo.slice(envelopeTo.lastIndexOf("@") + 1).toLowerCase(),
});

type Batch = ReturnType<typeof openBatch>;

function openBatch(ctx: MutationCtx) {
  const open = new Map<string, MessageInHand>();
  const perMinute = new Map<number, Counts>();
  const suppressions: Suppression[] = [];
  const happenings: Happening[] = [];
  const takenBack: Happening[] = [];
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
          onTakenBack: (failure, domain) => void takenBack.push({ ...failure, domain }),
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
      await takeFromBreakdown(ctx, takenBack);
      await suppress(ctx, suppressions);
    },
  };
}
