import { header } from "../message.ts";
import { originalHeaders } from "../original.ts";
import type { ComplaintFormat } from "./format.ts";

/** Looked for in the front of the original before its header is read. */
const mark = "HmXmrOriginalRecipient";
const frontBytes = 32_768;

/**
 * Microsoft's Junk Mail Reporting Program: no machine-readable part, only the mail as an attachment, the recipient in a field
 * of its own, and a subject that is always the same.
 */
export const jmrp: ComplaintFormat = (message) => {
  const isTheirs =
    /@(?:\w+\.)?(?:hotmail|microsoft|outlook|live|msn)\.com\b/i.test(message.from ?? "") &&
    /^complaint about message from\b/i.test(message.subject ?? "");
  const isMarked = message.parts.some(
    ({ type, bytes }) =>
      type === "message/rfc822" &&
      Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, frontBytes)).includes(mark),
  );
  if (!isTheirs && !isMarked) return undefined;
  const original = originalHeaders(message);
  const recipient = original.find(({ name }) => name === "x-hmxmroriginalrecipient");
  if (original.length === 0 || (!isTheirs && recipient === undefined)) return undefined;
  const sourceIp = /\bfrom \[?([0-9a-f.:]{2,45})\]?/i.exec(message.subject ?? "")?.[1];
  return {
    feedback: "abuse",
    format: "jmrp",
    fields: [
      ...(recipient === undefined ? [] : [{ name: "original-rcpt-to", value: recipient.value }]),
      ...(sourceIp === undefined ? [] : [{ name: "source-ip", value: sourceIp }]),
      { name: "arrival-date", value: header(message, "date") ?? "" },
    ],
  };
};
