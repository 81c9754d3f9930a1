import type { Bus } from "./bus.ts";
import { writeEvent } from "./contract.ts";
import type { Metrics } from "./metrics.ts";
import { createPacker, packsOf } from "./packs.ts";
import type { Store } from "./store/store.ts";

/** Events on their way into the stream EVENTS, with the time that it takes. */
export function createPublishing(
  store: Store,
  metrics: Metrics,
): Pick<Bus, "publish" | "publishAll" | "publishPacked"> {
  const pack = createPacker(store);
  return {
    async publish(subject, payload) {
      const startedAtMs = performance.now();
      const headers = { "Nats-Msg-Id": payload.id };
      await store.together("EVENTS", [{ subject, data: writeEvent(subject, payload), headers }]);
      metrics.published(subject, performance.now() - startedAtMs);
    },
    async publishAll(subject, payloads) {
      const startedAtMs = performance.now();
      const lines = payloads.map((payload) => ({ id: payload.id, data: writeEvent(subject, payload) }));
      await Promise.all(packsOf(subject, lines).map((pack) => store.together("EVENTS", [pack])));
      metrics.published(subject, performance.now() - startedAtMs);
    },
    async publishPacked(subject, payload) {
      const startedAtMs = performance.now();
      await pack(subject, { id: payload.id, data: writeEvent(subject, payload) });
      metrics.published(subject, performance.now() - startedAtMs);
    },
  };
}
