import type { Message } from "../message.ts";
import type { RecipientFields } from "../report.ts";

/** Finds the recipients' fields in a message of one format; `undefined` when the message has another. */
export type Format = (
  message: Message,
) => { reportingMta?: string; recipients: readonly RecipientFields[] } | undefined;
