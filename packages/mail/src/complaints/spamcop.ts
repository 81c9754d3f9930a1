import type { ComplaintFormat } from "./format.ts";

/** SpamCop and tools like it: text for people, the mail quoted below. */
export const spamcop: ComplaintFormat = (message) => {
  const isTheirs =
    /@(?:reports|bounces|devnull)\.spamcop\.net\b/i.test(message.from ?? "") ||
    /^\[?SpamCop \(/i.test(message.subject ?? "");
  if (!isTheirs) return undefined;
  const sourceIp = /\((\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f:]{3,45})\)/i.exec(message.subject ?? "")?.[1];
  return {
    feedback: "abuse",
    format: "other",
    fields: sourceIp === undefined ? [] : [{ name: "source-ip", value: sourceIp }],
  };
};
