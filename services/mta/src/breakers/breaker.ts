import { phrase } from "@tyto/contracts";
import { limits } from "./limits.ts";
import { add, addAll, type Block, type Fate, newWindow, type Window } from "./window.ts";

/**
 * The breaker of one organisation or campaign. Closed, it counts. Open, its hold stands until `untilMs`. After that it is on
 * trial: few messages at a time, until enough of them are known to be well.
 */
export type Breaker = {
  windows: Window[];
  /** Holds that followed each other: each is twice as long as the one before. */
  opened: number;
  openedAtMs: number;
  untilMs: number;
  isOnTrial: boolean;
  /** Messages that left during a trial and are not known to have ended: by delivery, when we stop waiting for each. */
  trials: Map<string, number>;
};

/** Why a breaker opened, for the person who has to do something about it. */
export type Opening = { kind: "bounces" | "complaints"; why: string; forMs: number };

const holdFirstMs = { bounces: 1_800_000, complaints: 4 * 3_600_000 };
const holdMsMax = 24 * 3_600_000;
/** Over all processes. */
export const trialsMax = 5;
const trialMsMax = 900_000;
/** Messages that a trial takes; a bad list shows itself in far fewer. */
const trialSent = 50;

export const newBreaker = (): Breaker => ({
  windows: limits.map(({ sentMax }) => newWindow(sentMax)),
  opened: 0,
  openedAtMs: 0,
  untilMs: 0,
  isOnTrial: false,
  trials: new Map(),
});

/** Its hold stands. */
export const isOpen = ({ untilMs }: Breaker, nowMs: number): boolean => nowMs < untilMs;

/** Counts one message's fate. Tells when that opens the breaker. Changes the breaker. */
export function judge(breaker: Breaker, fate: Fate, nowMs: number): Opening | undefined {
  // What was under way when the hold began belongs to what led to it, and so do complaints that come in now.
  if (isOpen(breaker, nowMs)) return undefined;
  for (const window of breaker.windows) add(window, fate);
  return settle(breaker, fate !== "delivered", nowMs);
}

/** The same for what was counted elsewhere. */
export function judgeAll(breaker: Breaker, counts: Block, nowMs: number): Opening | undefined {
  if (isOpen(breaker, nowMs)) return undefined;
  for (const window of breaker.windows) addAll(window, counts);
  return settle(breaker, counts.bounced + counts.complained > 0, nowMs);
}

function settle(breaker: Breaker, isTrouble: boolean, nowMs: number): Opening | undefined {
  const opening = isTrouble ? excessOf(breaker) : undefined;
  if (opening !== undefined) {
    const forMs = Math.min(holdFirstMs[opening.kind] * 2 ** Math.min(breaker.opened, 20), holdMsMax);
    breaker.opened += 1;
    breaker.openedAtMs = nowMs;
    breaker.untilMs = nowMs + forMs;
    breaker.isOnTrial = true;
    forget(breaker);
    return { ...opening, forMs };
  }
  if (breaker.isOnTrial && sentOf(breaker) >= trialSent) {
    breaker.isOnTrial = false;
    breaker.trials.clear();
  }
  // A whole window of the longest kind without trouble: the past is past.
  if (sentOf(breaker) >= (limits.at(-1)?.sentMax ?? 0) * 0.9) breaker.opened = 0;
  return undefined;
}

/** During a trial few messages leave at a time. Changes the breaker. */
export function tryLeave(
  breaker: Breaker,
  deliveryId: string,
  nowMs: number,
  partOf: () => number = () => trialsMax,
): "go" | "wait" {
  if (!isTrying(breaker, nowMs)) return "go";
  for (const [id, untilMs] of breaker.trials) if (untilMs <= nowMs) breaker.trials.delete(id);
  if (!breaker.trials.has(deliveryId) && breaker.trials.size >= partOf()) return "wait";
  breaker.trials.set(deliveryId, nowMs + trialMsMax);
  return "go";
}

/** Its hold is over, and few messages find out whether all is well. */
export const isTrying = (breaker: Breaker, nowMs: number): boolean =>
  breaker.isOnTrial && !isOpen(breaker, nowMs);

/** The counts start anew. */
export function forget(breaker: Breaker): void {
  breaker.windows = newBreaker().windows;
  breaker.trials.clear();
}

/** A person lifted the hold: they have seen to it. */
export function close(breaker: Breaker): void {
  breaker.untilMs = 0;
  breaker.isOnTrial = false;
  forget(breaker);
}

/** The longest window that has something in it: rates from 0 to 1. */
export function ratesOf({ windows }: Breaker): { bounceRate: number; complaintRate: number } | undefined {
  const longest = windows.at(-1);
  if (longest === undefined) return undefined;
  const { sent, bounced, complained } = longest.total;
  if (sent === 0) return undefined;
  return { bounceRate: bounced / sent, complaintRate: Math.min(1, complained / sent) };
}

const sentOf = ({ windows }: Breaker) => windows.at(-1)?.total.sent ?? 0;

function excessOf({ windows }: Breaker): Pick<Opening, "kind" | "why"> | undefined {
  for (const [index, { sentMax, bouncedMax, complainedMax }] of limits.entries()) {
    const window = windows[index];
    if (window === undefined) continue;
    const { sent, bounced, complained } = window.total;
    if (complained > complainedMax)
      return {
        kind: "complaints",
        why: phrase("breaker.complaints", { complained, sent, complainedMax, sentMax }),
      };
    if (bounced > bouncedMax)
      return {
        kind: "bounces",
        why: phrase("breaker.bounces", { bounced, sent, bouncedMax, sentMax }),
      };
  }
  return undefined;
}
