import type { Address } from "@tyto/contracts";
import type { Message } from "../message.ts";
import type { Header } from "../mime.ts";

export const feedbacks = ["abuse", "fraud", "virus", "not-spam", "opt-out", "other"] as const;
export type Feedback = (typeof feedbacks)[number];

/** What a complaint says; all of it the reporter's claim. */
export type Complaint = {
  feedback: Feedback;
  format: "arf" | "jmrp" | "cfbl" | "other";
  /** Who reports, as a domain. */
  reporter?: string;
  /** Often redacted, never believed over the delivery's own. */
  claimedRecipient?: Address;
  sourceIp?: string;
  /** Milliseconds since 1970: when the reporter got the mail. */
  arrivedAt?: number;
};

/** What a dialect found: foreign text. `fields` are those of the report's machine-readable part. */
export type ComplaintFields = {
  feedback: Feedback;
  format: Complaint["format"];
  fields: readonly Header[];
  /** A report that calls itself one but is about something else, and why. */
  notAComplaint?: string;
};

/** Reads one dialect; `undefined` when the message is not in it. */
export type ComplaintFormat = (message: Message) => ComplaintFields | undefined;
