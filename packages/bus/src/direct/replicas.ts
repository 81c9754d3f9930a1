import { Failure } from "@tyto/contracts";
import { encode, Interrupted, type Reply, type Requests, StreamError } from "../requests.ts";
import type { End, Found, Reads, Start } from "./direct.ts";

const pageBytesMax = 4_194_304;
/** A read that met a disconnect is repeated after this. */
const againMs = 100;

/** Reads that any replica of a stream answers, the leader where there is no other. */
export class Replicas implements Reads {
  readonly #requests: Requests;
  readonly #requestMs: number;

  constructor(requests: Requests, requestMs: number) {
    this.#requests = requests;
    this.#requestMs = requestMs;
  }

  async last(stream: string, subject: string): Promise<Found | undefined> {
    return toFound(
      await this.#requests.ask({
        subject: `$JS.API.DIRECT.GET.${stream}.${subject}`,
        giveUpAtMs: this.#giveUpAtMs(),
      }),
    );
  }

  async lastOfEach(stream: string, subjects: readonly string[]): Promise<Map<string, Found>> {
    const question = { multi_last: subjects };
    for (const untilMs = this.#giveUpAtMs(); ; ) {
      try {
        const found = await this.#askMany(stream, question, untilMs);
        return new Map(found.map((one) => [one.subject, one]));
      } catch (error) {
        if (!(error instanceof Interrupted)) throw error;
        if (Date.now() >= untilMs) throw new Failure("upstream.down", error.message, { cause: error });
        await Bun.sleep(againMs);
      }
    }
  }

  async next(stream: string, sequence: number, filter: string): Promise<Found | undefined> {
    return toFound(
      await this.#requests.ask({
        subject: `$JS.API.DIRECT.GET.${stream}`,
        data: encode({ seq: sequence, next_by_subj: filter }),
        giveUpAtMs: this.#giveUpAtMs(),
      }),
    );
  }

  async end(stream: string, filter: string): Promise<End | undefined> {
    const found = await this.last(stream, filter);
    return (
      found && { sequence: found.sequence, storedAtMs: Date.parse(found.headers.last("Nats-Time-Stamp")) }
    );
  }

  async page(stream: string, start: Start, filter: string, countMax: number): Promise<Found[]> {
    const from =
      typeof start === "number"
        ? { seq: start }
        : { start_time: new Date(Math.max(0, start.sinceMs)).toISOString() };
    const question = { ...from, next_by_subj: filter, batch: countMax, max_bytes: pageBytesMax };
    return await this.#askMany(stream, question, this.#giveUpAtMs());
  }

  async lastSequence(stream: string, filters: readonly string[]): Promise<number> {
    const found = await this.#askMany(stream, { multi_last: filters }, this.#giveUpAtMs());
    return Math.max(0, ...found.map(({ sequence }) => sequence));
  }

  #giveUpAtMs(): number {
    return Date.now() + this.#requestMs;
  }

  /** Throws Interrupted when the connection broke. */
  async #askMany(stream: string, question: object, giveUpAtMs: number): Promise<Found[]> {
    const replies = await this.#requests.askMany(
      { subject: `$JS.API.DIRECT.GET.${stream}`, data: encode(question), giveUpAtMs },
      isEnd,
    );
    return replies.flatMap((reply) => toFound(reply) ?? []);
  }
}

/** 204 "EOB" ends a page; 404 means that there is nothing from there on. */
const isEnd = ({ headers }: Reply) => headers !== undefined && headers.code >= 204;

function toFound({ data, headers }: Reply): Found | undefined {
  if (headers === undefined) throw new StreamError(500, 0, "a direct get was answered without headers");
  if (headers.code === 404) return undefined;
  if (headers.code !== 0) throw new StreamError(headers.code, 0, headers.description);
  return {
    // The last of each is the server's word on this message.
    subject: headers.last("Nats-Subject"),
    sequence: Number(headers.last("Nats-Sequence")),
    data,
    headers,
    isStrayAnswer: headers.values("Nats-Stream").length > 1,
  };
}
