import type { FlowState } from "@tyto/contracts";
import type { Look } from "./status.ts";

/** How each state of sending looks: open, below the usual limit, stopped until a time, stopped until a person releases it. */
export const flowLooks: Record<FlowState, Look> = {
  open: { tone: "success", icon: "i-lucide-circle-check" },
  slowed: { tone: "info", icon: "i-lucide-gauge" },
  suspended: { tone: "warning", icon: "i-lucide-timer" },
  held: { tone: "error", icon: "i-lucide-hand" },
};
