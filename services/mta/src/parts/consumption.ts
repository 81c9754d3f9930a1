import type { createDeliveries, DeliverPorts } from "../deliver.ts";
import { intake } from "../intake.ts";
import { createPast } from "../past.ts";
import type { Surroundings } from "./surroundings.ts";

/** Messages that are on their way past the queue; as many more are held. */
const messagesAtOnceMax = 2_000;
/** The same as events: one of a single recipient has some 550 bytes, each further recipient 50, and in memory ten times that. */
const eventBytesAtOnceMax = 2_097_152;
/** Entries of the queue in hand for each connection: while one is sent, others store their outcomes. */
const entriesPerConnection = 4;

export type Deliveries = ReturnType<typeof createDeliveries>;

/** Takes accepted mail and what is due in the queue, until `stop`. Throws Failure `upstream.down`. */
export async function startConsumption(
  { config, bus, now }: Surroundings,
  deliveries: Deliveries,
  isSuppressed: DeliverPorts["isSuppressed"],
) {
  const take = intake({
    ...{ isSuppressed, now },
    publish: bus.publish,
    queue: bus.queue.add,
    sendAtOnce: deliveries.atOnce,
    past: createPast(bus.past),
  });
  const [taking, sending] = await Promise.all([
    bus.consume(
      "mta-intake",
      { "mail.accepted": take, "mail.scanned": ({ message }, arrival) => take(message, arrival) },
      { concurrency: messagesAtOnceMax, bytesMax: eventBytesAtOnceMax, tellsEarlier: true },
    ),
    bus.queue.consume({ concurrency: entriesPerConnection * config.concurrency }, deliveries.fromQueue),
  ]);
  return {
    async stop(): Promise<void> {
      await Promise.all([taking.stop(), sending.stop()]);
    },
  };
}
