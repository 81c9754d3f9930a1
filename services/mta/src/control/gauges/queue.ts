import type { ControlAnswer, Waiting } from "@tyto/contracts";
import type { Registry } from "@tyto/service";
import { gaugeOf } from "./gauge.ts";
import { keptBehind } from "./kept.ts";

export type QueueGaugePorts = { count(): Promise<ControlAnswer<"mta.queue">>; now: () => number };

/** What waits, by class. Counting a long queue takes long, so the numbers are those of the last minutes. */
export function createQueueGauges(registry: Registry, { count, now }: QueueGaugePorts): void {
  const counted = keptBehind(count, now);
  const ofClasses = (name: string, help: string, value: (waiting: Waiting) => number) =>
    gaugeOf(registry, name, help, ["traffic"], () =>
      (counted()?.classes ?? []).map((one) => ({ labels: { traffic: one.traffic }, value: value(one) })),
    );

  ofClasses(
    "tyto_mta_queue_entries",
    "Entries of the queue by class, as counted within the last minutes",
    ({ entries }) => entries,
  );
  ofClasses("tyto_mta_queue_oldest_seconds", "Age of the oldest entry of the queue by class", (waiting) =>
    waiting.oldestAtMs === undefined ? 0 : Math.max(0, now() - waiting.oldestAtMs) / 1_000,
  );
}
