import type { DeliveryId } from "@tyto/contracts";

/** Deliveries that are not to be begun, because somebody is about to change them in the queue. */
export type Withholding = {
  /** Tells which of them are in hand; the others are not begun for `forMs`, or may be begun again with 0. */
  withhold(ids: readonly DeliveryId[], forMs: number): DeliveryId[];
  isWithheld(id: DeliveryId): boolean;
};

const withheldMax = 20_000;

export function createWithholding(isInHand: (id: DeliveryId) => boolean, now: () => number): Withholding {
  const until = new Map<DeliveryId, number>();
  return {
    withhold(ids, forMs) {
      const nowMs = now();
      for (const [id, untilMs] of until) if (untilMs <= nowMs) until.delete(id);
      for (const id of ids)
        if (forMs === 0) until.delete(id);
        else if (until.size < withheldMax) until.set(id, nowMs + forMs);
      return ids.filter(isInHand);
    },
    isWithheld(id) {
      const untilMs = until.get(id);
      return untilMs !== undefined && untilMs > now();
    },
  };
}
