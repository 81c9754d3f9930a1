import { toByteText } from "../encodings.ts";
import { header } from "../message.ts";
import { readHeaderLines } from "../mime.ts";
import { originalHeaders } from "../original.ts";
import type { ComplaintFormat, Feedback } from "./format.ts";

/** IANA's Feedback Report Type Values and what reporters write instead. */
const words: readonly [RegExp, Feedback][] = [
  [/^not-?spam\b|^ham\b|^false.?positive/, "not-spam"],
  [/^opt-?out|^unsubscribe/, "opt-out"],
  [/^fraud|^phish/, "fraud"],
  [/^virus|^malware/, "virus"],
  [/^abuse|^spam|^complaint|^miscategorized|^junk/, "abuse"],
];

/** RFC 5965: `multipart/report; report-type=feedback-report`, or a part of that type in any other wrapping. CFBL (RFC 9477) is ARF about mail that asked for it. */
export const arf: ComplaintFormat = (message) => {
  const part = message.parts.find(({ type }) => type === "message/feedback-report");
  const claims = /report-type\s*=\s*"?feedback-report/i.test(header(message, "content-type") ?? "");
  // Some relays turn the machine-readable part into text; its fields still stand at the beginning of a line.
  const inText =
    claims && part === undefined ? /^feedback-type:.*(?:\n.+){0,40}/im.exec(message.text)?.[0] : undefined;
  if (part === undefined && inText === undefined) return undefined;
  const fields = readHeaderLines(part === undefined ? (inText ?? "") : toByteText(part.bytes));
  const type =
    fields
      .find(({ name }) => name === "feedback-type")
      ?.value.trim()
      .toLowerCase() ?? "";
  const original = originalHeaders(message);
  const has = (name: string) =>
    original.some((one) => one.name === name) || fields.some((one) => one.name === name);
  return {
    feedback: words.find(([pattern]) => pattern.test(type))?.[1] ?? "other",
    format: has("cfbl-feedback-id") ? "cfbl" : has("x-hmxmroriginalrecipient") ? "jmrp" : "arf",
    fields,
    ...(type.startsWith("auth-failure")
      ? { notAComplaint: "a report of failed authentication (RFC 6591), not of a person" }
      : {}),
  };
};
