import { type Msg, nuid, type Subscription } from "nats";
import type { Link } from "./link.ts";
import { encode } from "./requests.ts";

export type Looked = { sequence: number; storedAtMs: number; message: Msg };

/** Not all was seen: somebody else used the durable, or it did not answer. */
export class Disturbed extends Error {}

const pullMessagesMax = 4_000;
const pullBytesMax = 4_194_304;
/** Silence after which a pull is lost. */
const silenceMsMax = 7_000;

/** Everything that a durable hands out from where it stands to the end, two pulls in memory at most. To be used once. */
export class Pulls {
  readonly #link: Link;
  readonly #stream: string;
  readonly #durable: string;
  /** How many the durable has handed out, to whomever. */
  readonly #handedOut: () => Promise<number>;
  readonly #inbox: string;
  #waiting: Looked[] = [];
  #trouble: Disturbed | undefined;
  /** The last one came. */
  #isEnded = false;
  /** There is nothing left, for us or because somebody else took it. */
  #isEmpty = false;
  /** Messages asked for and not come yet. */
  #owed = 0;
  /** The durable counts what it hands out; a gap means that somebody else took from it. */
  #expected = 1;
  #wake = () => {};

  constructor(link: Link, stream: string, durable: string, handedOut: () => Promise<number>) {
    this.#link = link;
    this.#stream = stream;
    this.#durable = durable;
    this.#handedOut = handedOut;
    this.#inbox = `${link.inbox}.${nuid.next()}`;
  }

  /** Throws Disturbed when not all of them came. */
  async *all(): AsyncGenerator<Looked> {
    const subscription = this.#listen();
    const forget = this.#link.onDisconnect(() => this.#fail("disconnected"));
    try {
      for (;;) {
        const taken = this.#waiting;
        this.#waiting = [];
        if (taken.length > 0) yield* taken;
        else if (await this.#isOver()) return;
        else await this.#more();
      }
    } finally {
      forget();
      if (!this.#link.nats.isClosed()) subscription.unsubscribe();
    }
  }

  #listen(): Subscription {
    return this.#link.nats.subscribe(this.#inbox, {
      callback: (error, message) => {
        if (error !== null) this.#trouble = new Disturbed(error.message);
        else if (message.reply === undefined || message.reply === "") this.#hear(message);
        else this.#take(message, message.reply);
        this.#wake();
      },
    });
  }

  /** What becomes of a pull. */
  #hear({ headers }: Msg): void {
    // 404: nothing left; 409 and others: the durable moved or is gone.
    if (headers?.code === 404) this.#isEmpty = true;
    else if (headers?.code === 408 || headers?.code === 409) this.#owed = 0;
    else this.#trouble = new Disturbed(`${this.#durable}: ${headers?.description ?? "refused"}`);
  }

  #take(message: Msg, reply: string): void {
    if (this.#isEnded) return;
    const { handedOut, left, sequence, storedAtMs } = readPlace(reply);
    if (handedOut !== this.#expected) {
      this.#trouble = this.#somebodyElse();
      return;
    }
    this.#expected++;
    this.#owed--;
    this.#waiting.push({ sequence, storedAtMs, message });
    if (left === 0) this.#isEnded = true;
    else this.#pullAhead();
  }

  async #isOver(): Promise<boolean> {
    // Who takes the durable after our last message disturbs nobody.
    if (this.#isEnded) return true;
    if (this.#trouble !== undefined) throw this.#trouble;
    if (!this.#isEmpty) return false;
    const handedOut = await this.#handedOut();
    // A pull that was on its way brought more while we asked.
    if (this.#waiting.length > 0) return false;
    if (handedOut === this.#expected - 1) return true;
    throw this.#somebodyElse();
  }

  /** Resolves when something came, or went wrong. */
  #more(): Promise<void> {
    if (this.#owed <= 0) {
      this.#owed = 0;
      this.#pull();
    }
    return new Promise((resolve) => {
      const late = setTimeout(() => this.#fail(`${this.#durable} does not answer`), silenceMsMax);
      this.#wake = () => {
        clearTimeout(late);
        resolve();
      };
    });
  }

  /** The next ones are on their way while these are looked at. */
  #pullAhead(): void {
    const half = pullMessagesMax / 2;
    if (!this.#isEmpty && this.#owed <= half && this.#waiting.length <= half) this.#pull();
  }

  #pull(): void {
    this.#owed += pullMessagesMax;
    this.#link.publish(
      `$JS.API.CONSUMER.MSG.NEXT.${this.#stream}.${this.#durable}`,
      encode({ batch: pullMessagesMax, max_bytes: pullBytesMax, no_wait: true }),
      { reply: this.#inbox },
    );
  }

  #fail(problem: string): void {
    this.#trouble = new Disturbed(problem);
    this.#wake();
  }

  #somebodyElse(): Disturbed {
    return new Disturbed(`somebody else looks through ${this.#durable}`);
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
