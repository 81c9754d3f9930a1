import { headers as createHeaders } from "nats";
import { encode, type Requests, StreamError } from "../requests.ts";
import type { End, Found, Reads } from "./direct.ts";

/** JetStream's "no message found". */
const messageMissing = 10_037;

type Question = { last_by_subj: string } | { seq: number; next_by_subj: string };
/** `hdrs` and `data` are base64, and absent when empty; `hdrs` as they stand in the protocol. */
type LeaderMessage = { subject: string; seq: number; time: string; hdrs?: string; data?: string };

/** Reads that the leader of a stream answers: what was stored a moment ago is there. */
export class Leader implements Reads {
  readonly #requests: Requests;
  readonly #requestMs: number;

  constructor(requests: Requests, requestMs: number) {
    this.#requests = requests;
    this.#requestMs = requestMs;
  }

  async last(stream: string, subject: string): Promise<Found | undefined> {
    const message = await this.#ask(stream, { last_by_subj: subject });
    return message && fromLeader(message);
  }

  async lastOfEach(stream: string, subjects: readonly string[]): Promise<Map<string, Found>> {
    const found = await Promise.all(subjects.map((subject) => this.last(stream, subject)));
    return new Map(found.flatMap((one) => (one === undefined ? [] : [[one.subject, one] as const])));
  }

  async next(stream: string, sequence: number, filter: string): Promise<Found | undefined> {
    const message = await this.#ask(stream, { seq: sequence, next_by_subj: filter });
    return message && fromLeader(message);
  }

  async end(stream: string, filter: string): Promise<End | undefined> {
    const message = await this.#ask(stream, { last_by_subj: filter });
    return message && { sequence: message.seq, storedAtMs: Date.parse(message.time) };
  }

  async lastSequence(stream: string, filters: readonly string[]): Promise<number> {
    const last = await Promise.all(filters.map((filter) => this.#ask(stream, { last_by_subj: filter })));
    return Math.max(0, ...last.map((message) => message?.seq ?? 0));
  }

  async #ask(stream: string, question: Question): Promise<LeaderMessage | undefined> {
    try {
      const answer = await this.#requests.askJson<{ message: LeaderMessage }>({
        subject: `$JS.API.STREAM.MSG.GET.${stream}`,
        data: encode(question),
        giveUpAtMs: Date.now() + this.#requestMs,
      });
      return answer.message;
    } catch (error) {
      if (error instanceof StreamError && error.errorCode === messageMissing) return undefined;
      throw error;
    }
  }
}

function fromLeader({ subject, seq, hdrs = "", data = "" }: LeaderMessage): Found {
  const headers = createHeaders();
  for (const line of Buffer.from(hdrs, "base64").toString().split("\r\n").slice(1)) {
    const colon = line.indexOf(":");
    if (colon > 0) headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return {
    subject,
    sequence: seq,
    data: Buffer.from(data, "base64"),
    headers,
    isStrayAnswer: headers.has("Nats-Stream"),
  };
}
