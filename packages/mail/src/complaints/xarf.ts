import { fromByteText, toByteText } from "../encodings.ts";
import type { ComplaintFormat } from "./format.ts";

const jsonBytesMax = 65_536;

/** X-ARF (RFC 9477 §3.2 allows it for CFBL): one JSON object that says what kind of abuse it reports. */
export const xarf: ComplaintFormat = (message) => {
  const part = message.parts.find(
    ({ type, name, bytes }) =>
      (type === "application/json" || /xarf.*\.json$/i.test(name ?? "")) && bytes.length <= jsonBytesMax,
  );
  if (part === undefined) return undefined;
  const report = objectIn(toByteText(part.bytes));
  const info = report?.Report;
  if (typeof info !== "object" || info === null || !("ReportType" in info)) return undefined;
  const text = (value: unknown) => (typeof value === "string" ? value.slice(0, 1_000) : "");
  const about = info as Record<string, unknown>;
  const type = text(about.ReportType).toLowerCase();
  return {
    feedback: /fraud|phish/.test(type) ? "fraud" : /malware|virus/.test(type) ? "virus" : "abuse",
    format: "cfbl",
    fields: [
      { name: "source-ip", value: text(about.SourceIp) },
      { name: "arrival-date", value: text(about.Date) },
      { name: "cfbl-feedback-id", value: text(about.FeedbackId) },
      { name: "x-sample", value: JSON.stringify(about.Samples ?? "").slice(0, 20_000) },
    ].filter(({ value }) => value !== ""),
  };
};

function objectIn(byteText: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(fromByteText(byteText)));
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RangeError) return undefined;
    throw error;
  }
}
