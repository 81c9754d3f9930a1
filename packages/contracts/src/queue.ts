/** The send queue: entries of the stream QUEUE, which only the mta may touch (schedules reach the whole stream). */
import { z } from "zod";
import { BodyPack } from "./events.ts";
import { Reason } from "./reasons.ts";
import {
  Address,
  Campaign,
  DeliveryId,
  Domain,
  MessageId,
  OrganizationId,
  TimeMs,
  Traffic,
} from "./values.ts";

/** One recipient waiting to be tried. Small: the body stays in the stream BODY. */
export const QueueEntry = z.object({
  deliveryId: DeliveryId,
  messageId: MessageId,
  organizationId: OrganizationId,
  recipient: Address,
  from: Address,
  /** The signing domain. */
  domain: Domain,
  /** The number of this attempt, from 1. */
  attempt: z.number().int().positive(),
  bodyBytes: z.number().int().positive(),
  bodyChunks: z.number().int().positive(),
  bodyPack: BodyPack.optional(),
  /** How many recipients share the body; with 1 the body is dropped as soon as the outcome is final. */
  recipients: z.number().int().positive(),
  acceptedAt: TimeMs,
  /** Set when the sender may cancel until this time: the mta claims the message first. */
  scheduledAt: TimeMs.optional(),
  /** This copy gets header fields of its own, by which its recipient unsubscribes. */
  unsubscribe: z.boolean().optional(),
  /** Absent means transactional. */
  traffic: Traffic.optional(),
  campaign: Campaign.optional(),
  /** Why the last attempt failed. */
  lastReason: Reason.optional(),
  /** The pool that an operator bound it to; absent leaves the choice to the egress plan. */
  pool: z.string().max(253).optional(),
  /** Its sender was told that it waits. */
  isDelayTold: z.literal(true).optional(),
  /** As in `mail.accepted`. */
  requireTls: z.boolean().optional(),
  expiresAt: TimeMs,
  traceparent: z.string().max(64).optional(),
});
export type QueueEntry = z.infer<typeof QueueEntry>;

/** Shards keep one slow site from holding up the rest; a domain always falls into the same one. */
export const shardCount = 32;

export function shardOf(domain: string): number {
  return Bun.hash.crc32(domain.toLowerCase()) % shardCount;
}

/** A domain as one subject token: dots are separators in NATS and become underscores (which no domain of ours has). */
export const subjectToken = (domain: string) => domain.toLowerCase().replaceAll(".", "_");

export const sendSubject = (entry: Pick<QueueEntry, "deliveryId" | "recipient">): string => {
  const domain = entry.recipient.slice(entry.recipient.lastIndexOf("@") + 1);
  return `queue.send.${shardOf(domain)}.${subjectToken(domain)}.${entry.deliveryId}`;
};

/** Where a deferred or scheduled entry waits: one schedule per delivery, a newer one replaces the older. */
export const laterSubject = (id: DeliveryId): string => `queue.later.${id}`;
