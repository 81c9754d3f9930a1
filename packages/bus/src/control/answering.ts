/** What this process answers to questions. */
import {
  type ControlAnswer,
  type ControlName,
  type ControlRequest,
  controlSubject,
  controls,
  Failure,
  toFailure,
  traceMsMax,
} from "@tyto/contracts";
import { type Msg, nuid } from "nats";
import { read, write } from "../contract.ts";
import type { Link } from "../link.ts";
import type { BusLog } from "../log.ts";
import { Tellings } from "./tellings.ts";
import {
  answerBytesMax,
  failureData,
  headers,
  isAnswerSubject,
  type Kind,
  kinds,
  noData,
  requestBytesMax,
} from "./wire.ts";

export type AnsweringParts = { link: Link; log: BusLog; now: () => number };

/** Tells the one who asked. */
type Say = (kind: Kind, data: Uint8Array) => void;
type Handler<C extends ControlName> = (request: ControlRequest<C>) => Promise<ControlAnswer<C>>;
type OftenHandler<C extends ControlName> = (
  request: ControlRequest<C>,
  say: (answer: ControlAnswer<C>) => void,
  ended: AbortSignal,
) => void;
type Stoppable = { stop(): void };

/** Questions of one kind that a process answers at the same time, and traces that it tells. */
const atOnceMax = 16;

export class Answering {
  readonly #parts: AnsweringParts;
  /** This process, as others tell it from their other answerers. */
  readonly #process = nuid.next();
  readonly #running = new Set<Stoppable>();

  constructor(parts: AnsweringParts) {
    this.#parts = parts;
  }

  /** Each question has one answer: what the handler resolves with, or the Failure that it throws. */
  once<C extends ControlName>(control: C, handler: Handler<C>): Stoppable {
    let atOnce = 0;
    return this.#keep(
      this.#listen(control, (request, _reply, say) => {
        if (atOnce >= atOnceMax) return say(kinds.failure, failureData(tooMany(control)));
        atOnce++;
        say(kinds.heard, noData);
        void this.#respond(control, say, () => handler(request)).finally(() => {
          atOnce--;
        });
      }),
    );
  }

  /** Each question has as many answers as the handler has to say, for as long as it is asked again. */
  often<C extends ControlName>(control: C, handler: OftenHandler<C>): Stoppable {
    const tellings = new Tellings(this.#parts.now);
    const listening = this.#listen(control, (request, reply, say) => {
      if (tellings.isKeptUp(reply)) return;
      if (tellings.size >= atOnceMax) return say(kinds.failure, failureData(tooMany(control)));
      say(kinds.heard, noData);
      const telling = tellings.begin(reply, Math.min(traceMsMax, controls[control].answerMsMax));
      const sayAnswer = (answer: ControlAnswer<C>) => {
        if (!telling.ended.aborted) say(kinds.answer, writeAnswer(control, answer));
      };
      try {
        handler(request, sayAnswer, telling.ended);
      } catch (error) {
        telling.end();
        say(kinds.failure, failureData(toFailure(error)));
      }
    });
    return this.#keep({
      stop() {
        listening.stop();
        tellings.stop();
      },
    });
  }

  stop(): void {
    for (const running of [...this.#running]) running.stop();
  }

  #keep({ stop }: Stoppable): Stoppable {
    const kept = {
      stop: () => {
        this.#running.delete(kept);
        stop();
      },
    };
    this.#running.add(kept);
    return kept;
  }

  /** Hands over the questions that keep their contract and want their answer where answers go. */
  #listen<C extends ControlName>(
    control: C,
    take: (request: ControlRequest<C>, reply: string, say: Say) => void,
  ): Stoppable {
    const { link, log } = this.#parts;
    const hear = ({ reply, data }: Msg) => {
      if (!isAnswerSubject(reply)) return;
      const say: Say = (kind, said) =>
        link.publish(reply, said, { headers: { [headers.kind]: kind, [headers.process]: this.#process } });
      const request = readRequest(control, data);
      if (request.ok) return take(request.value, reply, say);
      const { problem } = request;
      say(kinds.failure, failureData(new Failure("request.invalid", problem, { hint: problem })));
    };
    const subscription = link.nats.subscribe(controlSubject(control), {
      ...(controls[control].answeredBy === "one" ? { queue: "one" } : {}),
      callback(error, message) {
        if (error === null) hear(message);
        else log.error("bus.questions-refused", { control, problem: error.message });
      },
    });
    return {
      stop() {
        if (!link.nats.isClosed()) subscription.unsubscribe();
      },
    };
  }

  /** Says one answer or failure; never throws. */
  async #respond<C extends ControlName>(
    control: C,
    say: Say,
    answer: () => Promise<ControlAnswer<C>>,
  ): Promise<void> {
    try {
      const data = writeAnswer(control, await answer());
      if (data.length > answerBytesMax)
        throw new Failure("internal", `the answer to ${control} has ${data.length} bytes`);
      say(kinds.answer, data);
    } catch (error) {
      const failure = toFailure(error);
      if (failure.code === "internal") this.#parts.log.error("bus.answer-failed", { control, error });
      say(kinds.failure, failureData(failure));
    }
  }
}

const tooMany = (control: ControlName) =>
  new Failure("upstream.down", `more than ${atOnceMax} questions ${control} at once`, {
    hint: "Too many questions of this kind at once",
    retryAfterS: 5,
  });

const writeAnswer = <C extends ControlName>(control: C, answer: ControlAnswer<C>) =>
  write(controls[control].answer, `answer to ${control}`, answer);

const readRequest = <C extends ControlName>(control: C, data: Uint8Array) =>
  data.length > requestBytesMax
    ? ({ ok: false, problem: "it is too large" } as const)
    : read<ControlRequest<C>>(controls[control].request, data);
