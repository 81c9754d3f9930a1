/** How many in the last minute, counted in slots of 5 s: a list of times would grow with the traffic. */
export type Minute = { slots: number[]; lastSlot: number };

const slotMs = 5_000;
const slotCount = 12;

export const newMinute = (): Minute => ({ slots: Array.from({ length: slotCount }, () => 0), lastSlot: 0 });

export function countOne(minute: Minute, nowMs: number): void {
  const slot = forget(minute, nowMs);
  minute.slots[slot % slotCount] = (minute.slots[slot % slotCount] ?? 0) + 1;
}

export function countOf(minute: Minute, nowMs: number): number {
  forget(minute, nowMs);
  return minute.slots.reduce((sum, count) => sum + count, 0);
}

/** Empties the slots that time has gone past; a clock that went back counts in the newest slot. */
function forget(minute: Minute, nowMs: number): number {
  const slot = Math.max(Math.floor(nowMs / slotMs), minute.lastSlot);
  for (let old = Math.max(minute.lastSlot + 1, slot - slotCount + 1); old <= slot; old++)
    minute.slots[old % slotCount] = 0;
  minute.lastSlot = slot;
  return slot;
}
