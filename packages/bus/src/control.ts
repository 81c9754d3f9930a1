/**
 * Questions to running processes over core NATS. The answers go to `ctl.answer.<who asks>.<question>`, which is no inbox:
 * an answerer says things there alone, whatever subject the question names for its answer.
 */
import {
  answerPrefix,
  type ControlAnswer,
  type ControlName,
  type ControlRequest,
  controlSubject,
  controls,
  type ErrorCode,
  errors,
  Failure,
  followMsMax,
  toFailure,
  traceMsMax,
} from "@tyto/contracts";
import { type Msg, nuid } from "nats";
import type { AllControl, Control } from "./bus.ts";
import { read, write } from "./contract.ts";
import type { Link } from "./link.ts";
import type { BusLog } from "./log.ts";
import { encode } from "./requests.ts";

type Options = {
  /** The NATS user, which its answers are addressed to. */
  who: string;
  /** Processes that are heard of within this time are waited for. */
  hearMs?: number;
  now?: () => number;
};

const hearMsDefault = 300;
/** A process that answered within this time is waited for, although it was not heard of. */
const rememberMs = 60_000;
const answerersMax = 256;
/** Questions of one kind that a process answers at the same time, and traces that it tells. */
const atOnceMax = 16;
const requestBytesMax = 262_144;
const answerBytesMax = 917_504;
/** Of all answers to one question. */
const answersBytesMax = 67_108_864;

const kinds = { heard: "heard", answer: "answer", failure: "failure" } as const;
const headers = { kind: "Tyto-Control", process: "Tyto-Process", again: "Tyto-Again" } as const;
const answerSubject = /^ctl\.answer\.[\w-]{1,40}\.[\w-]{1,40}$/;
const decoder = new TextDecoder();

export type ControlParts = { link: Link; log: BusLog };

export function createControl(
  { link, log }: ControlParts,
  { who, hearMs = hearMsDefault, now = Date.now }: Options,
): Control & { stop(): void } {
  /** This process, as others tell it from their other answerers. */
  const process = nuid.next();
  /** Control → process → when it answered last. */
  const answerers = new Map<ControlName, Map<string, number>>();
  const stops = new Set<() => void>();

  const known = (control: ControlName): Set<string> => {
    const recent = answerers.get(control) ?? new Map<string, number>();
    for (const [id, atMs] of recent) if (now() - atMs > rememberMs) recent.delete(id);
    return new Set(recent.keys());
  };
  const remember = (control: ControlName, id: string) => {
    const recent = answerers.get(control) ?? new Map<string, number>();
    answerers.set(control, recent);
    recent.delete(id);
    recent.set(id, now());
    const oldest = recent.keys().next();
    if (recent.size > answerersMax && !oldest.done) recent.delete(oldest.value);
  };

  /** Opens a question: what is heard of it, and how to end it. */
  const openQuestion = <C extends ControlName>(
    control: C,
    request: ControlRequest<C>,
    on: {
      heard(id: string): void;
      answer(id: string, answer: ControlAnswer<C>): void;
      failure(id: string, failure: Failure): void;
      nobody(): void;
    },
  ) => {
    if (!link.isConnected()) throw new Failure("upstream.down", "NATS is disconnected");
    const data = write(controls[control].request, `question ${control}`, request);
    if (data.length > requestBytesMax)
      throw new Failure("request.too-large", `${data.length} bytes for ${control}`);
    const reply = `${answerPrefix}${who}.${nuid.next()}`;
    let bytes = 0;
    let answers = 0;
    const take = (message: Msg) => {
      if (message.headers?.code === 503) return on.nobody();
      const id = message.headers?.get(headers.process) ?? "";
      const kind = message.headers?.get(headers.kind);
      if (kind === kinds.heard) return on.heard(id);
      bytes += message.data.length;
      if (++answers > controls[control].answersMax || bytes > answersBytesMax)
        return log.warn("bus.answers-left", { control, answers, bytes });
      remember(control, id);
      if (kind === kinds.failure) return on.failure(id, toldFailure(message.data));
      const answer = read<ControlAnswer<C>>(controls[control].answer, message.data);
      if (answer.ok) on.answer(id, answer.value);
      else
        on.failure(
          id,
          new Failure("internal", `the answer to ${control} breaks its contract: ${answer.problem}`),
        );
    };
    const subscription = link.nats.subscribe(reply, {
      callback(error, message) {
        if (error === null) take(message);
        else log.error("bus.answers-refused", { control, problem: error.message });
      },
    });
    const say = (isAgain: boolean) =>
      link.publish(controlSubject(control), data, {
        reply,
        ...(isAgain ? { headers: { [headers.again]: "1" } } : {}),
      });
    say(false);
    return {
      again: () => link.isConnected() && say(true),
      close() {
        if (!link.nats.isClosed()) subscription.unsubscribe();
      },
    };
  };

  const answering = <C extends ControlName>(
    control: C,
    take: (request: ControlRequest<C>, message: Msg, say: Say) => void,
  ) => {
    const subject = controlSubject(control);
    const subscription = link.nats.subscribe(subject, {
      ...(controls[control].answeredBy === "one" ? { queue: "one" } : {}),
      callback(error, message) {
        if (error !== null) return log.error("bus.questions-refused", { control, problem: error.message });
        const { reply } = message;
        // The one who asks names where the answer goes; anything but an answer there would be said in our name.
        if (reply === undefined || !answerSubject.test(reply)) return;
        const say: Say = (kind, data) =>
          link.publish(reply, data, { headers: { [headers.kind]: kind, [headers.process]: process } });
        const request =
          message.data.length > requestBytesMax
            ? ({ ok: false, problem: "it is too large" } as const)
            : read<ControlRequest<C>>(controls[control].request, message.data);
        if (request.ok) take(request.value, message, say);
        else
          say(
            kinds.failure,
            failureData(new Failure("request.invalid", request.problem, { hint: request.problem })),
          );
      },
    });
    const stop = () => {
      stops.delete(stop);
      if (!link.nats.isClosed()) subscription.unsubscribe();
    };
    stops.add(stop);
    return { stop };
  };

  return {
    ask: (control, request) =>
      new Promise((resolve, reject) => {
        const late = setTimeout(
          () => end(() => reject(new Failure("upstream.down", `nobody answered ${control} in time`))),
          controls[control].answerMsMax,
        );
        const end = (settle: () => void) => {
          clearTimeout(late);
          question?.close();
          settle();
        };
        let question: { close(): void } | undefined;
        try {
          question = openQuestion(control, request, {
            heard() {},
            answer: (_, answer) => end(() => resolve(answer)),
            failure: (_, failure) => end(() => reject(failure)),
            nobody: () => end(() => reject(nobodyRuns(control))),
          });
        } catch (error) {
          end(() => reject(error));
        }
      }),

    askAll: (control, request) =>
      new Promise((resolve, reject) => {
        type Answer = ControlAnswer<typeof control>;
        const waiting = known(control);
        const done = new Set<string>();
        const answers: Answer[] = [];
        let failure: Failure | undefined;
        let isHeard = false;
        const settleIfDone = () => {
          if (isHeard && [...waiting].every((id) => done.has(id))) finish();
        };
        const finish = () => {
          clearTimeout(hearing);
          clearTimeout(late);
          question?.close();
          const silent = [...waiting].filter((id) => !done.has(id));
          // Not to be waited for again, unless it is heard of.
          for (const id of silent) answerers.get(control)?.delete(id);
          if (answers.length === 0 && failure !== undefined) reject(failure);
          else resolve({ answers, silent: silent.length });
        };
        const hearing = setTimeout(() => {
          isHeard = true;
          settleIfDone();
        }, hearMs);
        const late = setTimeout(finish, controls[control].answerMsMax);
        let question: { close(): void } | undefined;
        try {
          question = openQuestion(control, request, {
            heard: (id) => void waiting.add(id),
            answer(id, answer) {
              waiting.add(id);
              done.add(id);
              answers.push(answer);
              settleIfDone();
            },
            failure(id, told) {
              waiting.add(id);
              done.add(id);
              failure = told;
              log.warn("bus.answered-with-failure", { control, problem: told.message });
              settleIfDone();
            },
            // Nobody has been there for long enough to be waited for.
            nobody: finish,
          });
        } catch (error) {
          clearTimeout(hearing);
          clearTimeout(late);
          reject(error);
        }
      }),

    follow: (control, request, onAnswer, signal) =>
      new Promise((resolve, reject) => {
        const end = (settle: () => void) => {
          clearInterval(again);
          clearTimeout(late);
          signal.removeEventListener("abort", finish);
          question?.close();
          settle();
        };
        const finish = () => end(resolve);
        const again = setInterval(() => question?.again(), followMsMax / 3);
        const late = setTimeout(finish, controls[control].answerMsMax);
        signal.addEventListener("abort", finish, { once: true });
        let question: { again(): void; close(): void } | undefined;
        let isAnswered = false;
        try {
          question = openQuestion(control, request, {
            heard: () => {
              isAnswered = true;
            },
            answer: (_, answer) => onAnswer(answer),
            failure: (_, failure) => end(() => reject(failure)),
            // Later on it may be a restart: the next question finds whoever is there then.
            nobody: () => isAnswered || end(() => reject(nobodyRuns(control))),
          });
          if (signal.aborted) finish();
        } catch (error) {
          end(() => reject(error));
        }
      }),

    answer(control, handler) {
      let atOnce = 0;
      return answering(control, (request, _message, say) => {
        if (atOnce >= atOnceMax) return say(kinds.failure, failureData(tooMany(control)));
        atOnce++;
        say(kinds.heard, noData);
        const respond = async () => {
          try {
            const data = write(controls[control].answer, `answer to ${control}`, await handler(request));
            if (data.length > answerBytesMax)
              throw new Failure("internal", `the answer to ${control} has ${data.length} bytes`);
            say(kinds.answer, data);
          } catch (error) {
            const failure = toFailure(error);
            if (failure.code === "internal") log.error("bus.answer-failed", { control, error });
            say(kinds.failure, failureData(failure));
          } finally {
            atOnce--;
          }
        };
        void respond();
      });
    },

    answerOften(control, handler) {
      const running = new Map<string, { heardAtMs: number; end(): void }>();
      const sweep = setInterval(() => {
        for (const told of running.values()) if (now() - told.heardAtMs > followMsMax) told.end();
      }, followMsMax / 5);
      sweep.unref();
      const asked = answering(control as AllControl, (request, { reply = "" }, say) => {
        const before = running.get(reply);
        if (before !== undefined) {
          before.heardAtMs = now();
          return;
        }
        if (running.size >= atOnceMax) return say(kinds.failure, failureData(tooMany(control)));
        say(kinds.heard, noData);
        const ending = new AbortController();
        const late = setTimeout(() => end(), Math.min(traceMsMax, controls[control].answerMsMax));
        late.unref();
        const end = () => {
          clearTimeout(late);
          running.delete(reply);
          ending.abort();
        };
        running.set(reply, { heardAtMs: now(), end });
        try {
          handler(
            request as ControlRequest<typeof control>,
            (answer) => {
              if (!ending.signal.aborted)
                say(kinds.answer, write(controls[control].answer, `answer to ${control}`, answer));
            },
            ending.signal,
          );
        } catch (error) {
          end();
          say(kinds.failure, failureData(toFailure(error)));
        }
      });
      const stop = () => {
        stops.delete(stop);
        clearInterval(sweep);
        asked.stop();
        for (const told of [...running.values()]) told.end();
      };
      stops.add(stop);
      return { stop };
    },

    stop() {
      for (const stop of [...stops]) stop();
    },
  };
}

type Say = (kind: (typeof kinds)[keyof typeof kinds], data: Uint8Array) => void;

const noData = new Uint8Array();
const nobodyRuns = (control: ControlName) =>
  new Failure("upstream.down", `no process answers ${control}`, { hint: "No mta is running" });
const tooMany = (control: ControlName) =>
  new Failure("upstream.down", `more than ${atOnceMax} questions ${control} at once`, {
    hint: "Too many questions of this kind at once",
    retryAfterS: 5,
  });

/** A Failure on its way to whoever asked: what the public may read, and the code. */
const failureData = ({ code, message, hint }: Failure): Uint8Array =>
  encode({
    code,
    message: message.slice(0, 500),
    ...(hint === undefined ? {} : { hint: hint.slice(0, 500) }),
  });

function toldFailure(data: Uint8Array): Failure {
  const told = JSON.parse(decoder.decode(data)) as { code?: string; message?: string; hint?: string };
  const isCode = (code: string | undefined): code is ErrorCode =>
    code !== undefined && Object.hasOwn(errors, code);
  return new Failure(isCode(told.code) ? told.code : "internal", told.message ?? "it failed there", {
    ...(told.hint === undefined ? {} : { hint: told.hint }),
  });
}
