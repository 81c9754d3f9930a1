import type { InboundKind as Kind } from "@tyto/contracts";

export type InboundKind = Kind;

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
