import type { StreamName } from "@tyto/contracts";
import type { Arrival } from "./bus.ts";
import type { Parts } from "./parts.ts";
import { leaderElected } from "./permissions.ts";
import type { Delivery } from "./reader.ts";

/** Between two questions where a stream ends, while NATS does not answer. */
const askAgainMs = 2_000;

export const toArrival = ({ times, sequence, storedAtMs }: Delivery): Arrival => ({
  times,
  sequence,
  storedAtMs,
});

/**
 * Tells which messages may have been handled before. A crash of the server can make it forget deliveries and
 * acknowledgements, so after each (re)connect everything that is stored already is under suspicion; in a cluster, also
 * when the durable gets another leader, which may not have heard of the last deliveries of the one before.
 */
export function watchEarlier(
  { link, direct, log }: Parts,
  stream: StreamName,
  durables: readonly string[],
  lastSequence: () => Promise<number>,
) {
  let knownUntil = Number.POSITIVE_INFINITY;
  let generation = 0;
  const ask = async () => {
    const own = ++generation;
    knownUntil = Number.POSITIVE_INFINITY;
    while (own === generation) {
      try {
        await link.whenConnected(Date.now() + askAgainMs);
        const last = await lastSequence();
        if (own === generation) knownUntil = last;
        return;
      } catch (error) {
        if (own === generation) log.warn("bus.last-sequence-unknown", { stream, error });
        await new Promise((resolve) => setTimeout(resolve, askAgainMs));
      }
    }
  };
  const forget = link.onReconnect(() => void ask());
  const elections = direct.isReplicated()
    ? durables.map((durable) =>
        link.nats.subscribe(leaderElected(stream, durable), { callback: () => void ask() }),
      )
    : [];
  void ask();
  const until = ({ times, sequence }: Delivery): number | undefined => {
    if (times > 1) return Number.POSITIVE_INFINITY;
    return sequence > knownUntil ? undefined : knownUntil;
  };
  return {
    arrivalOf(delivery: Delivery): Arrival {
      const earlierUntil = until(delivery);
      return { ...toArrival(delivery), ...(earlierUntil === undefined ? {} : { earlierUntil }) };
    },
    stop() {
      generation++;
      forget();
      if (!link.nats.isClosed()) for (const election of elections) election.unsubscribe();
    },
  };
}
