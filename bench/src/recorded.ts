import type { MessageStatus } from "@tyto/contracts";
import type { Installation } from "@tyto/test/parts/installation.ts";

const open = ["scheduled", "accepted", "sending", "deferred"] as const;

/**
 * Whether Convex holds `count` messages as `status`. To count is to read them all, on the processor that is measured: that is
 * done once none is known to be on its way.
 */
export async function isRecorded(tyto: Installation, status: MessageStatus, count: number): Promise<boolean> {
  for (const other of open) if ((await tyto.countMessages(other, 1)) > 0) return false;
  return (await tyto.countMessages(status)) >= count;
}
