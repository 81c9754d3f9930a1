/**
 * Takes acknowledged entries out of the queue, a durable at a time and many at once: everything up to the floor below
 * which its durable has all acknowledgements. It also removes what a kill -9 of the server leaves there (acknowledged
 * entries that are never delivered again), without making the durable anew, which would send old mail again.
 *
 * A purge makes the server forget which entries it was about to deliver again (handed back, or their process is dead):
 * they then come after another `ackWaitMs`. So a durable is swept when there can be none: nothing is unacknowledged, or a
 * pull waits in vain.
 */
import { consumers } from "@tyto/contracts";
import type { Link } from "./link.ts";
import type { BusLog } from "./log.ts";
import { encode, type Requests } from "./requests.ts";

const stream = "QUEUE";
/** A crash of the server can forget an acknowledgement as long as its entry is there: so soon, yet rarely enough to cost little. */
export const sweepMsDefault = 2_000;
/** A durable with a backlog answers every pull. It is swept all the same when this time has passed. */
const overdueMs = 30_000;

export const queueDurables = Object.keys(consumers).filter((name) => consumers[name]?.stream === stream);

/** What a durable still has before it, and how many pulls wait for more. */
export type DurableInfo = {
  ack_floor: { stream_seq: number };
  num_pending: number;
  num_ack_pending: number;
  num_waiting: number;
};

export type Sweep = {
  /** Tells how one of them stands, and sweeps it if that harms nobody now. */
  durable(durable: string): Promise<DurableInfo>;
  /** Sweeps all, then those that are noted every `sweepMs`, and all again after a reconnect. */
  start(): Promise<{ note(durable: string): void; stop(): Promise<void> }>;
};

export function createSweep(
  { requests, link, log }: { requests: Requests; link: Link; log: BusLog },
  requestMs: number,
  sweepMs: number,
): Sweep {
  /** Up to where, and when, this process has swept each durable. */
  const swept = new Map(queueDurables.map((durable) => [durable, { floor: 0, atMs: Date.now() }]));

  const sweepOne = async (durable: string): Promise<DurableInfo> => {
    const giveUpAtMs = Date.now() + requestMs;
    const info = await requests.askJson<DurableInfo>({
      subject: `$JS.API.CONSUMER.INFO.${stream}.${durable}`,
      giveUpAtMs,
    });
    const floor = info.ack_floor.stream_seq;
    const last = swept.get(durable);
    const filter = consumers[durable]?.filter[0];
    if (filter === undefined || last === undefined || floor === last.floor) return info;
    const isOverdue = Date.now() - last.atMs > overdueMs;
    if (info.num_ack_pending > 0 && info.num_waiting === 0 && !isOverdue) return info;
    await requests.askJson({
      subject: `$JS.API.STREAM.PURGE.${stream}`,
      // Everything before `seq`, which itself stays.
      data: encode({ filter, seq: floor + 1 }),
      giveUpAtMs,
    });
    swept.set(durable, { floor, atMs: Date.now() });
    return info;
  };

  const start: Sweep["start"] = async () => {
    const noted = new Set<string>();
    let sweeping: Promise<void> = Promise.resolve();
    const sweep = (durables: readonly string[]): Promise<void> => {
      sweeping = sweeping.then(async () => {
        for (const durable of durables) {
          try {
            const { num_ack_pending } = await sweepOne(durable);
            // What is acknowledged a moment from now is swept the next time.
            if (num_ack_pending > 0) noted.add(durable);
          } catch (error) {
            noted.add(durable);
            log.warn("bus.sweep-failed", { durable, error });
            return;
          }
        }
      });
      return sweeping;
    };
    const sweepNoted = () => {
      const durables = [...noted];
      noted.clear();
      return sweep(durables);
    };
    const timer = setInterval(() => link.isConnected() && noted.size > 0 && void sweepNoted(), sweepMs);
    timer.unref();
    const forget = link.onReconnect(() => {
      for (const last of swept.values()) last.floor = 0;
      void sweep(queueDurables);
    });
    await sweep(queueDurables);
    return {
      note: (durable) => void noted.add(durable),
      async stop() {
        clearInterval(timer);
        forget();
        await sweeping;
      },
    };
  };

  return { durable: sweepOne, start };
}
