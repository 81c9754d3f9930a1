/**
 * Reads a stream from a position to its end by a durable that acknowledges nothing, whose place is set first. Ten times as
 * fast as direct gets, headers alone where that is enough, and two pulls in memory however long the stream is.
 */
import { Failure, looks } from "@tyto/contracts";
import { type Msg, nuid } from "nats";
import type { Link } from "./link.ts";
import { encode, type Requests } from "./requests.ts";

export type Looked = { sequence: number; storedAtMs: number; message: Msg };

const pullMessagesMax = 4_000;
const pullBytesMax = 4_194_304;
const pullExpiresMs = 5_000;
/** Silence after which a pull is lost. */
const silenceMsMax = pullExpiresMs + 2_000;
/** Somebody else looked through the same durable, or the connection broke, this often. */
const triesMax = 12;
/** Longest wait after the first disturbance; further ones wait longer, step by step. */
const disturbedMs = 20;

export function createLook({ link, requests }: { link: Link; requests: Requests }, requestMs: number) {
  /** Durables that this process uses now. */
  const used = new Set<string>();

  const durableFor = (stream: string, headersOnly: boolean): string => {
    const fitting = Object.entries(looks)
      .filter(([name, look]) => look.stream === stream && look.headersOnly === headersOnly && !used.has(name))
      .map(([name]) => name);
    // Any: another process takes another one, most of the time.
    const chosen = fitting[Math.floor(Math.random() * fitting.length)];
    if (chosen === undefined)
      throw new Failure("upstream.down", `too many looks at ${stream} at once`, {
        hint: "Too many questions about the queue at once",
        retryAfterS: 2,
      });
    return chosen;
  };

  const handedOut = async (stream: string, durable: string) => {
    const info = await requests.askJson<{ delivered: { consumer_seq: number } }>({
      subject: `$JS.API.CONSUMER.INFO.${stream}.${durable}`,
      giveUpAtMs: Date.now() + requestMs,
    });
    return info.delivered.consumer_seq;
  };

  /**
   * Messages with a position of at least `fromSequence` in their order; what is stored meanwhile may be among them. Throws
   * Failure `upstream.down`.
   */
  return async function* look(
    stream: string,
    { headersOnly, fromSequence = 1 }: { headersOnly: boolean; fromSequence?: number },
  ): AsyncGenerator<Looked> {
    let next = Math.max(1, fromSequence);
    for (let tries = 1; ; tries++) {
      const durable = durableFor(stream, headersOnly);
      used.add(durable);
      try {
        await requests.askJson({
          subject: `$JS.API.CONSUMER.RESET.${stream}.${durable}`,
          data: encode({ seq: next }),
          giveUpAtMs: Date.now() + requestMs,
        });
        for await (const looked of pullAll(link, stream, durable, () => handedOut(stream, durable))) {
          next = looked.sequence + 1;
          yield looked;
        }
        return;
      } catch (error) {
        if (!(error instanceof Disturbed)) throw error;
        if (tries === triesMax) throw new Failure("upstream.down", error.message, { cause: error });
        // Two that disturb each other in step would go on doing so.
        await Bun.sleep(disturbedMs * tries * Math.random());
        await link.whenConnected(Date.now() + requestMs);
      } finally {
        used.delete(durable);
      }
    }
  };
}

class Disturbed extends Error {}

async function* pullAll(
  link: Link,
  stream: string,
  durable: string,
  handedOut: () => Promise<number>,
): AsyncGenerator<Looked> {
  const inbox = `${link.inbox}.${nuid.next()}`;
  let waiting: Looked[] = [];
  let trouble: Disturbed | undefined;
  let isEnded = false;
  let isEmpty = false;
  /** Messages asked for and not come yet. */
  let owed = 0;
  /** The durable counts what it hands out; a gap means that somebody else took from it. */
  let expected = 1;
  let wake = () => {};

  const subscription = link.nats.subscribe(inbox, {
    callback(error, message) {
      if (error !== null) trouble = new Disturbed(error.message);
      else if (message.reply === undefined || message.reply === "") {
        // 404: nothing left; 409 and others: the durable moved or is gone.
        if (message.headers?.code === 404) isEmpty = true;
        else if (message.headers?.code === 408 || message.headers?.code === 409) owed = 0;
        else trouble = new Disturbed(`${durable}: ${message.headers?.description ?? "refused"}`);
      } else {
        const place = readPlace(message.reply);
        if (place.handedOut === expected) {
          expected++;
          owed--;
          waiting.push({ sequence: place.sequence, storedAtMs: place.storedAtMs, message });
          if (place.left === 0) isEnded = true;
          else pullAhead();
        } else trouble = new Disturbed(`somebody else looks through ${durable}`);
      }
      wake();
    },
  });
  const forget = link.onDisconnect(() => {
    trouble = new Disturbed("disconnected");
    wake();
  });
  const pull = () => {
    owed += pullMessagesMax;
    link.publish(
      `$JS.API.CONSUMER.MSG.NEXT.${stream}.${durable}`,
      encode({ batch: pullMessagesMax, max_bytes: pullBytesMax, no_wait: true }),
      { reply: inbox },
    );
  };
  /** The next ones are on their way while these are looked at. */
  const pullAhead = () => {
    if (!isEmpty && owed <= pullMessagesMax / 2 && waiting.length <= pullMessagesMax / 2) pull();
  };
  try {
    for (;;) {
      if (waiting.length > 0) {
        const taken = waiting;
        waiting = [];
        yield* taken;
        continue;
      }
      if (trouble !== undefined) throw trouble;
      if (isEnded) return;
      // Nothing left, for us or because somebody else took it.
      if (isEmpty) {
        if ((await handedOut()) === expected - 1) return;
        throw new Disturbed(`somebody else looks through ${durable}`);
      }
      if (owed <= 0) {
        owed = 0;
        pull();
      }
      await new Promise<void>((resolve) => {
        const late = setTimeout(() => {
          trouble = new Disturbed(`${durable} does not answer`);
          resolve();
        }, silenceMsMax);
        wake = () => {
          clearTimeout(late);
          resolve();
        };
      });
    }
  } finally {
    forget();
    if (!link.nats.isClosed()) subscription.unsubscribe();
  }
}

/** `$JS.ACK.<stream>.<durable>.<times>.<sequence>.<handed out>.<ns>.<left>`; two tokens more in front with a JetStream domain. */
function readPlace(reply: string) {
  const tokens = reply.split(".");
  const start = tokens.length > 9 ? 6 : 4;
  const number = (index: number) => Number(tokens[start + index]);
  return {
    sequence: number(1),
    handedOut: number(2),
    storedAtMs: Math.floor(number(3) / 1e6),
    left: number(4),
  };
}
