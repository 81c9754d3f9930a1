import type { MessageStatus } from "@tyto/contracts";

/** A colour of the theme, by meaning. A tone never stands alone: an icon and a word say the same. */
export type Tone = "neutral" | "primary" | "success" | "info" | "warning" | "error";
export type Look = { tone: Tone; icon: string };

/** How each status of a message or a recipient looks, in the order in which filters list them. */
export const statusLooks: Record<MessageStatus, Look> = {
  accepted: { tone: "info", icon: "i-lucide-inbox" },
  scheduled: { tone: "info", icon: "i-lucide-calendar-clock" },
  held: { tone: "warning", icon: "i-lucide-hand" },
  sending: { tone: "primary", icon: "i-lucide-send" },
  deferred: { tone: "warning", icon: "i-lucide-clock" },
  delivered: { tone: "success", icon: "i-lucide-check" },
  partial: { tone: "warning", icon: "i-lucide-circle-slash-2" },
  bounced: { tone: "error", icon: "i-lucide-undo-2" },
  suppressed: { tone: "neutral", icon: "i-lucide-ban" },
  refused: { tone: "error", icon: "i-lucide-shield-alert" },
  cancelled: { tone: "neutral", icon: "i-lucide-x" },
};

export const statuses = Object.keys(statusLooks) as MessageStatus[];

/** The status named in a URL, or undefined when it names none. */
export function statusOf(text: unknown): MessageStatus | undefined {
  return statuses.find((status) => status === text);
}

/** True while something may still happen to the message by itself. */
export function isMoving(status: MessageStatus): boolean {
  return ["accepted", "scheduled", "held", "sending", "deferred"].includes(status);
}

/** Text, soft background and ring of a tone, as classes that Tailwind finds literally. */
export const toneClasses: Record<Tone, string> = {
  neutral: "text-muted bg-elevated ring-accented",
  primary: "text-primary bg-primary/10 ring-primary/25",
  success: "text-success bg-success/10 ring-success/25",
  info: "text-info bg-info/10 ring-info/25",
  warning: "text-warning bg-warning/10 ring-warning/25",
  error: "text-error bg-error/10 ring-error/25",
};
