import type { InboundKind as Kind } from "@tyto/contracts";
import type { api } from "@tyto/convex/api";
import type { FunctionReturnType } from "convex/server";

export type InboundKind = Kind;
export type ReceivedMessage = FunctionReturnType<typeof api.inbound.list>["page"][number];

/** One icon for each kind of mail that came in. */
export const inboundIcons: Record<InboundKind, string> = {
  bounce: "i-lucide-undo-2",
  complaint: "i-lucide-flag",
  unsubscribe: "i-lucide-mail-x",
  "auto-reply": "i-lucide-plane",
  challenge: "i-lucide-shield-question-mark",
  "dmarc-report": "i-lucide-shield-check",
  "tls-report": "i-lucide-lock",
  reply: "i-lucide-reply",
  mail: "i-lucide-mail",
  unclear: "i-lucide-file-question-mark",
};
export const inboundKinds = Object.keys(inboundIcons) as InboundKind[];

/** The kind that a page's address names; undefined for anything else. */
export const inboundKindOf = (text: string): InboundKind | undefined =>
  inboundKinds.find((kind) => kind === text);

/** The message of ours that something is about, where that is known; a delivery's id begins with its message's. */
export const aboutMessage = ({
  messageId,
  deliveryId,
}: Pick<ReceivedMessage, "messageId" | "deliveryId">): string | undefined =>
  messageId ?? deliveryId?.slice(0, 26);

/** Only what a person should look at twice. */
export const isForged = ({ authentication }: Pick<ReceivedMessage, "authentication">): boolean =>
  authentication.dmarc === "fail";

/**
 * A stranger's text as it is read: without control characters, and without those that turn the direction of writing, by which
 * "gpj.exe" can look like "exe.jpg".
 */
export const readableText = (text: string): string =>
  text.replace(/(?![\n\t])[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, "");

const abbreviations = /\b(?:arc|dkim|id|mime|spf|tls)\b/gi;

/** A field's name as mail programs write it: `Message-ID`, `DKIM-Signature`. */
export const fieldName = (name: string): string =>
  name
    .replace(/\b[a-z]/g, (letter) => letter.toUpperCase())
    .replace(abbreviations, (word) => word.toUpperCase());
