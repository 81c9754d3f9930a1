/**
 * Reads a stream from a position to its end by a durable that acknowledges nothing, whose place is set first. Ten times as
 * fast as direct gets, headers alone where that is enough, and two pulls in memory however long the stream is.
 */
import { Failure, looks } from "@tyto/contracts";
import type { Link } from "./link.ts";
import { Disturbed, type Looked, Pulls } from "./pulls.ts";
import { encode, Interrupted, type Requests } from "./requests.ts";

export type { Looked } from "./pulls.ts";

/** Longest wait after the first disturbance; each further one without a message in between may take twice as long. */
const disturbedMs = 20;
const disturbedMsMax = 1_000;

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
   * Failure `upstream.down` when none came for `requestMs`, because somebody else looked through the same durable each time
   * or NATS did not answer.
   */
  return async function* look(
    stream: string,
    { headersOnly, fromSequence = 1 }: { headersOnly: boolean; fromSequence?: number },
  ): AsyncGenerator<Looked> {
    let next = Math.max(1, fromSequence);
    let disturbances = 0;
    let giveUpAtMs = Date.now() + requestMs;
    for (;;) {
      const durable = durableFor(stream, headersOnly);
      used.add(durable);
      try {
        // Once: heard a second time, it would take the durable back from under our own pulls.
        await requests.askJson({
          subject: `$JS.API.CONSUMER.RESET.${stream}.${durable}`,
          data: encode({ seq: next }),
          giveUpAtMs: Date.now() + requestMs,
          once: true,
        });
        const pulls = new Pulls(link, stream, durable, () => handedOut(stream, durable));
        for await (const looked of pulls.all()) {
          next = looked.sequence + 1;
          yield looked;
          disturbances = 0;
          giveUpAtMs = Date.now() + requestMs;
        }
        return;
      } catch (error) {
        if (!(error instanceof Disturbed || error instanceof Interrupted)) throw error;
        if (Date.now() >= giveUpAtMs) throw new Failure("upstream.down", error.message, { cause: error });
        // Two that disturb each other in step would go on doing so, and on a busy machine a look takes longer.
        await Bun.sleep(Math.random() * Math.min(disturbedMsMax, disturbedMs * 2 ** disturbances++));
        await link.whenConnected(Date.now() + requestMs);
      } finally {
        used.delete(durable);
      }
    }
  };
}
