import {
  answerPrefix,
  type ControlAnswer,
  type ControlName,
  type ControlRequest,
  controlSubject,
  controls,
  Failure,
} from "@tyto/contracts";
import { type Msg, nuid, type Subscription } from "nats";
import { read, write } from "../contract.ts";
import type { Link } from "../link.ts";
import type { BusLog } from "../log.ts";
import type { Answerers } from "./answerers.ts";
import { headers, kinds, requestBytesMax, toldFailure } from "./wire.ts";

/** Of all answers to one question. */
const answersBytesMax = 67_108_864;

export type QuestionParts = {
  link: Link;
  log: BusLog;
  /** The NATS user that asks. */
  who: string;
  answerers: Answerers;
};

/** Called for what is heard of a question, always after the question was made. */
export type Listener<C extends ControlName> = {
  heard(process: string): void;
  answer(process: string, answer: ControlAnswer<C>): void;
  failure(process: string, failure: Failure): void;
  nobody(): void;
};

/** One that was asked and is listened for, until it is closed. Throws Failure when it cannot be asked. */
export class Question<C extends ControlName> {
  readonly #parts: QuestionParts;
  readonly #control: C;
  readonly #data: Uint8Array;
  readonly #listener: Listener<C>;
  readonly #reply: string;
  readonly #subscription: Subscription;
  #answers = 0;
  #bytes = 0;

  constructor(parts: QuestionParts, control: C, request: ControlRequest<C>, listener: Listener<C>) {
    const { link, log, who } = parts;
    if (!link.isConnected()) throw new Failure("upstream.down", "NATS is disconnected");
    this.#parts = parts;
    this.#control = control;
    this.#listener = listener;
    this.#data = write(controls[control].request, `question ${control}`, request);
    if (this.#data.length > requestBytesMax)
      throw new Failure("request.too-large", `${this.#data.length} bytes for ${control}`);
    this.#reply = `${answerPrefix}${who}.${nuid.next()}`;
    this.#subscription = link.nats.subscribe(this.#reply, {
      callback: (error, message) => {
        if (error === null) this.#hear(message);
        else log.error("bus.answers-refused", { control, problem: error.message });
      },
    });
    this.#say({});
  }

  /** Keeps those who answer often from ending, and lets those who came since then begin. */
  again(): void {
    if (this.#parts.link.isConnected()) this.#say({ headers: { [headers.again]: "1" } });
  }

  close(): void {
    if (!this.#parts.link.nats.isClosed()) this.#subscription.unsubscribe();
  }

  #say(how: { headers?: Record<string, string> }): void {
    this.#parts.link.publish(controlSubject(this.#control), this.#data, { reply: this.#reply, ...how });
  }

  #hear(message: Msg) {
    const { log, answerers } = this.#parts;
    if (message.headers?.code === 503) return this.#listener.nobody();
    const process = message.headers?.get(headers.process) ?? "";
    const kind = message.headers?.get(headers.kind);
    if (kind === kinds.heard) return this.#listener.heard(process);
    this.#bytes += message.data.length;
    const told = { control: this.#control, answers: ++this.#answers, bytes: this.#bytes };
    if (told.answers > controls[this.#control].answersMax || told.bytes > answersBytesMax)
      return log.warn("bus.answers-left", told);
    answerers.remember(this.#control, process);
    if (kind === kinds.failure) this.#listener.failure(process, toldFailure(message.data));
    else this.#hearAnswer(process, message.data);
  }

  #hearAnswer(process: string, data: Uint8Array): void {
    const control = this.#control;
    const answer = read<ControlAnswer<C>>(controls[control].answer, data);
    if (answer.ok) this.#listener.answer(process, answer.value);
    else {
      const problem = `the answer to ${control} breaks its contract: ${answer.problem}`;
      this.#listener.failure(process, new Failure("internal", problem));
    }
  }
}
