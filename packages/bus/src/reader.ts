/**
 * Pulls messages of one durable, never more at a time than there is room for. A pull that a reconnect, a crash of the
 * server or a lost answer made worthless is noticed and sent again.
 */
import type { MsgHdrs } from "nats";
import type { Link } from "./link.ts";
import type { BusLog } from "./log.ts";
import { encode } from "./requests.ts";

export type Delivery = {
  stream: string;
  durable: string;
  subject: string;
  data: Uint8Array;
  headers: MsgHdrs | undefined;
  /** Where the acknowledgement goes. */
  reply: string;
  /** Which of the events that share the message it is about, from 0. */
  line: number;
  /** 1 at the first delivery. */
  times: number;
  sequence: number;
  storedAtMs: number;
};

export type Reader = {
  /** Call it when room became free. */
  refill(): void;
  /** Resolves when nothing more will be delivered. */
  stop(): Promise<void>;
};

/** Between 2 and 5 s: long enough to cost nothing, short enough that a lost pull stalls nobody. */
const pullExpiresMs = 3_000;
/** The server's answer to a pull that is over comes at its expiry; after this time it is lost. */
const pullLostMs = pullExpiresMs + 1_000;
const pullAgainMs = 500;

export function openReader(
  link: Link,
  { stream, durable }: { stream: string; durable: string },
  log: BusLog,
  /** How many more messages may be on their way to us now. */
  room: () => number,
  onDelivery: (delivery: Delivery) => void,
): Reader {
  const inbox = `${link.inbox}.${crypto.randomUUID()}`;
  const pullSubject = `$JS.API.CONSUMER.MSG.NEXT.${stream}.${durable}`;
  /** Asked for and not delivered yet. */
  let outstanding = 0;
  let pulledAtMs = 0;
  let isStopped = false;

  const refill = () => {
    if (isStopped || !link.isConnected()) return;
    const free = room() - outstanding;
    // A pull for each freed place would cost a message each; one for half of the room keeps the rest flowing meanwhile.
    if (free <= 0 || free < outstanding) return;
    outstanding += free;
    pulledAtMs = Date.now();
    link.publish(pullSubject, encode({ batch: free, expires: pullExpiresMs * 1e6 }), { reply: inbox });
  };
  const refillSoon = () => setTimeout(refill, pullAgainMs);

  const subscription = link.nats.subscribe(inbox, {
    callback(error, message) {
      if (error !== null) return log.error("bus.reader-refused", { durable, problem: error.message });
      const reply = message.reply ?? "";
      if (reply !== "") {
        outstanding = Math.max(0, outstanding - 1);
        link.refused.delete(durable);
        const { times, sequence, storedAtMs } = readReply(reply);
        onDelivery({
          ...{ stream, durable, line: 0, times, sequence, storedAtMs },
          ...{ subject: message.subject, data: message.data, headers: message.headers },
          reply,
        });
        return refill();
      }
      const status = message.headers?.code ?? 0;
      const left = Number(message.headers?.get("Nats-Pending-Messages") || Number.NaN);
      outstanding = Number.isNaN(left) ? 0 : Math.max(0, outstanding - left);
      if (status === 408) {
        link.refused.delete(durable);
        return refill();
      }
      // 503: nobody serves this durable (JetStream starting, or it was never made); 409: it moved or was deleted.
      if (!link.refused.has(durable))
        log.warn("bus.pull-refused", { durable, status, problem: message.headers?.description ?? "" });
      link.refused.add(durable);
      refillSoon();
    },
  });

  const forget = link.onReconnect(() => {
    outstanding = 0;
    refill();
  });
  const watchdog = setInterval(() => {
    if (outstanding > 0 && Date.now() - pulledAtMs > pullLostMs) {
      outstanding = 0;
      refill();
    }
  }, pullExpiresMs);
  watchdog.unref();
  refill();

  return {
    refill,
    async stop() {
      isStopped = true;
      link.refused.delete(durable);
      clearInterval(watchdog);
      forget();
      // Takes what is already on its way, so that it can be handed back instead of waiting for its `ackWaitMs`.
      if (link.isConnected()) await subscription.drain();
      else subscription.unsubscribe();
    },
  };
}

/**
 * `$JS.ACK.<stream>.<durable>.<times>.<sequence>.<durable's sequence>.<ns since 1970>.<pending>`; with JetStream
 * domains two tokens (domain, account hash) stand before the stream and one may follow.
 */
export function readReply(reply: string): Pick<Delivery, "times" | "sequence" | "storedAtMs"> {
  const tokens = reply.split(".");
  const start = tokens.length > 9 ? 6 : 4;
  return {
    times: Number(tokens[start]),
    sequence: Number(tokens[start + 1]),
    storedAtMs: Math.floor(Number(tokens[start + 3]) / 1e6),
  };
}
