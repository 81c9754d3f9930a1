/** How long a sender may take, by what we wait for. Pure, so that time can be told to it. */

export const phaseLimits = {
  /** RFC 5321 §4.5.3.2.7 asks for five minutes of patience with the next command, and with the next bytes of a message. */
  commandMsMax: 300_000,
  /** While more than half of all connections are taken. */
  commandMsMaxBusy: 20_000,
  /** From the greeting to the first command. */
  firstCommandMsMax: 60_000,
  firstCommandMsMaxBusy: 10_000,
  /** From DATA to the final dot. */
  messageMsMax: 900_000,
  /** While busy, a message that came more slowly than this is cut off after `slowMsMin`. */
  bytesPerSMinBusy: 1_000,
  slowMsMin: 20_000,
  /** A session ends at the next pause between messages after this. */
  sessionMsMax: 1_800_000,
};
export type PhaseLimits = typeof phaseLimits;

export type Phase =
  /** Greeted, and nothing said yet. */
  | { kind: "silent"; sinceMs: number }
  /** The sender has the word. */
  | { kind: "command"; sinceMs: number }
  | { kind: "data"; sinceMs: number; bytes: number }
  /** The message is here and the sender waits for us. */
  | { kind: "ours"; sinceMs: number };

/** Why the session has to end now; `undefined` while it may go on. */
export function overdue(
  phase: Phase,
  beganAtMs: number,
  nowMs: number,
  isBusy: boolean,
  limits: PhaseLimits,
): string | undefined {
  const ms = nowMs - phase.sinceMs;
  switch (phase.kind) {
    case "silent":
      return ms > (isBusy ? limits.firstCommandMsMaxBusy : limits.firstCommandMsMax)
        ? "no command came"
        : undefined;
    case "command":
      if (nowMs - beganAtMs > limits.sessionMsMax) return "the session took too long";
      return ms > (isBusy ? limits.commandMsMaxBusy : limits.commandMsMax) ? "no command came" : undefined;
    case "data":
      if (ms > limits.messageMsMax) return "the message took too long";
      return isBusy && ms > limits.slowMsMin && phase.bytes < (ms / 1_000) * limits.bytesPerSMinBusy
        ? "the message came too slowly"
        : undefined;
    case "ours":
      return undefined;
  }
}
