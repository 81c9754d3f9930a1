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

/**
 * One recipient waiting to be tried. Small: the body stays in the stream BODY. A message of QUEUE holds one entry or up
 * to a hundred of one place and traffic, one JSON text per line; its headers sum them up (`packHeaders`).
 */
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
  /** How often it was looked at since its last attempt and could not go: each time it waits longer. */
  looks: z.number().int().positive().optional(),
  /** The site that it goes to, once it is known. */
  site: z.string().max(253).optional(),
  expiresAt: TimeMs,
  traceparent: z.string().max(64).optional(),
});
export type QueueEntry = z.infer<typeof QueueEntry>;

/** A domain, or the id of a site, as one subject token: dots are separators in NATS and become underscores. */
export const subjectToken = (name: string) =>
  name
    .toLowerCase()
    .replaceAll(".", "_")
    .replace(/[^a-z0-9_=-]/g, "-");

/** Where an entry goes as far as it is known: its site, else its recipient's domain. */
export const placeOf = ({ site, recipient }: Pick<QueueEntry, "site" | "recipient">): string =>
  site ?? recipient.slice(recipient.lastIndexOf("@") + 1).toLowerCase();

export const trafficOf = ({ traffic = "transactional" }: Pick<QueueEntry, "traffic">): Traffic => traffic;

/** Entries that are ready to be sent. Transactional mail has a lane of its own, so that it overtakes all other. */
export const sendSubject = (traffic: Traffic, place: string): string =>
  `queue.send.${traffic}.${subjectToken(place)}`;

/** Where entries wait for their time: one schedule per subject, hence a name for each. */
export const laterSubject = (packId: string): string => `queue.later.${packId}`;

/** Headers of a message of QUEUE, so that a million entries are counted without reading one. */
export const packHeaders = {
  /** How many entries the message holds. */
  entries: "Tyto-Entries",
  /** The place of all of them. */
  place: "Tyto-Place",
  /** `acceptedAt` of the oldest. */
  oldest: "Tyto-Oldest",
  /** `<organization>/<campaign>=<count>,...`; the campaign may be empty. At most `packSharesMax`, the rest as `*`. */
  shares: "Tyto-Shares",
} as const;
export const packSharesMax = 20;
