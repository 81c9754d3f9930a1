/** The dead letters, for `tyto dlq list|show|retry`: looks at them and puts them back where they came from. */
import { Failure } from "@tyto/contracts";
import { deadHeaders } from "./burial.ts";
import { createDirect, type Found } from "./direct/direct.ts";
import { type Login, openLink } from "./link.ts";
import type { BusLog } from "./log.ts";
import { createRequests, encode } from "./requests.ts";
import { createStore } from "./store/store.ts";

export type DeadLetter = {
  /** Names it: `tyto dlq show <sequence>`. */
  sequence: number;
  diedAt: string;
  /** Where it came from. */
  stream: string;
  durable: string;
  subject: string;
  originalSequence: number;
  storedAt: string;
  reason: string;
  /** How often it had been delivered. */
  times: number;
  /** The payload as it was, JSON or not. */
  text: string;
};

export type DeadLetters = {
  /** Up to `countMax` from `fromSequence`, oldest first. */
  list(fromSequence?: number, countMax?: number): Promise<DeadLetter[]>;
  /** Throws Failure `resource.unknown`. */
  show(sequence: number): Promise<DeadLetter>;
  /**
   * Publishes it at its own subject again and removes it here. Every durable of that subject gets it, also those that
   * handled it: they know their events by id. Throws Failure `resource.unknown`.
   */
  retry(sequence: number): Promise<DeadLetter>;
  close(): Promise<void>;
};

const stream = "DEAD";
const filter = "dead.>";
const requestMs = 10_000;
const listMax = 256;

/** Needs the `admin` user. */
export async function openDeadLetters(login: Login, log: BusLog): Promise<DeadLetters> {
  const link = await openLink({ ...login, name: "dead-letters" }, log);
  const requests = createRequests(link);
  const direct = createDirect(requests, requestMs, link.isClustered);
  const store = createStore(link, requests, requestMs);

  const find = async (sequence: number): Promise<Found> => {
    const found = await direct.next(stream, sequence, filter);
    if (found?.sequence !== sequence)
      throw new Failure("resource.unknown", `there is no dead letter ${sequence}`);
    return found;
  };

  return {
    list: async (fromSequence = 1, countMax = listMax) =>
      (await direct.page(stream, fromSequence, filter, Math.min(countMax, listMax))).map(toLetter),
    show: async (sequence) => toLetter(await find(sequence)),
    async retry(sequence) {
      const found = await find(sequence);
      const letter = toLetter(found);
      // The id makes a retry that was interrupted before the removal harmless.
      const headers = { "Nats-Msg-Id": `dead.${sequence}` };
      await store.one({ subject: letter.subject, data: found.data, headers });
      await requests.askJson({
        subject: `$JS.API.STREAM.MSG.DELETE.${stream}`,
        data: encode({ seq: sequence, no_erase: true }),
        giveUpAtMs: Date.now() + requestMs,
      });
      return letter;
    },
    async close() {
      requests.stop();
      await link.nats.drain();
    },
  };
}

function toLetter({ subject, sequence, data, headers }: Found): DeadLetter {
  const [, from = "", durable = ""] = subject.split(".");
  return {
    ...{ sequence, stream: from, durable },
    diedAt: headers.last("Nats-Time-Stamp"),
    subject: headers.get(deadHeaders.subject),
    originalSequence: Number(headers.get(deadHeaders.sequence)),
    storedAt: headers.get(deadHeaders.storedAt),
    reason: headers.get(deadHeaders.reason),
    times: Number(headers.get(deadHeaders.times)),
    text: new TextDecoder().decode(data),
  };
}
