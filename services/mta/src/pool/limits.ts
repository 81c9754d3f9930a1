import type { Leave } from "../observation.ts";
import type { SiteKey } from "../shaping/shaping.ts";

/** What a site may be given, per (egress, site). */
export type Limits = {
  /** Takes leave for one message. */
  leave(key: SiteKey, provider: string | undefined): Leave;
  /** Nothing may go until then, whoever has a connection; takes nothing. */
  pause(key: SiteKey): Extract<Leave, { kind: "wait" }> | undefined;
  /** The leave was not used. */
  giveBack(key: SiteKey): void;
  connectionsMax(key: SiteKey, provider: string | undefined): number;
  messagesMax(key: SiteKey, provider: string | undefined): number;
};

/** For a server of one's own: nobody waits but for a connection. */
export const fixedLimits = (connectionsMax: number, messagesMax: number): Limits => ({
  leave: () => ({ kind: "go" }),
  pause: () => undefined,
  giveBack() {},
  connectionsMax: () => connectionsMax,
  messagesMax: () => messagesMax,
});
