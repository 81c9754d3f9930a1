import type { Message } from "../message.ts";
import type { RecipientFields } from "../report.ts";
import type { Body } from "./body.ts";

/** What one format found: the software that writes it, and each recipient's fields. */
export type Found = {
  software: string;
  reportingMta?: string;
  recipients: readonly RecipientFields[];
};

/** Finds the recipients' fields in a message of one format; `undefined` when the message has another. */
export type Format = (message: Message, body: Body) => Found | undefined;
