/** The three ways to ask: one process, all of them once, and all of them for as long as they have something to say. */
import {
  type ControlAnswer,
  type ControlName,
  type ControlRequest,
  controls,
  Failure,
  followMsMax,
} from "@tyto/contracts";
import { Question, type QuestionParts } from "./question.ts";
import { nobodyRuns } from "./wire.ts";

export type Asking = QuestionParts & {
  /** Processes that are heard of within this time are waited for. */
  hearMs: number;
};

export async function ask<C extends ControlName>(
  asking: Asking,
  control: C,
  request: ControlRequest<C>,
): Promise<ControlAnswer<C>> {
  const { promise, resolve, reject } = Promise.withResolvers<ControlAnswer<C>>();
  const question = new Question(asking, control, request, {
    heard() {},
    answer: (_, answer) => resolve(answer),
    failure: (_, failure) => reject(failure),
    nobody: () => reject(nobodyRuns(control)),
  });
  const late = setTimeout(
    () => reject(new Failure("upstream.down", `nobody answered ${control} in time`)),
    controls[control].answerMsMax,
  );
  try {
    return await promise;
  } finally {
    clearTimeout(late);
    question.close();
  }
}

export async function askAll<C extends ControlName>(
  asking: Asking,
  control: C,
  request: ControlRequest<C>,
): Promise<{ answers: ControlAnswer<C>[]; silent: number }> {
  const { link, log, answerers, hearMs } = asking;
  const { promise: over, resolve: finish } = Promise.withResolvers<void>();
  const waiting = new Set(answerers.of(control));
  const done = new Set<string>();
  const answers: ControlAnswer<C>[] = [];
  let failed: Failure | undefined;
  let isHeard = false;
  let isNobodyThere = false;
  // As long as NATS does not say that nobody listens, somebody does: the first one is waited for, however busy it is.
  const finishIfDone = () => {
    if (isNobodyThere || (isHeard && waiting.size > 0 && waiting.isSubsetOf(done))) finish();
  };
  const settle = (process: string) => {
    waiting.add(process);
    done.add(process);
    finishIfDone();
  };
  const question = new Question(asking, control, request, {
    heard: (process) => void waiting.add(process),
    answer(process, answer) {
      answers.push(answer);
      settle(process);
    },
    failure(process, failure) {
      log.warn("bus.answered-with-failure", { control, problem: failure.message });
      failed = failure;
      settle(process);
    },
    nobody() {
      isNobodyThere = true;
      finishIfDone();
    },
  });
  const endHearing = () => {
    isHeard = true;
    finishIfDone();
  };
  // What the server had for us by then is read first: it may be this process that was busy.
  const hearing = setTimeout(() => void link.nats.flush().then(endHearing, endHearing), hearMs);
  const late = setTimeout(finish, controls[control].answerMsMax);
  await over;
  clearTimeout(hearing);
  clearTimeout(late);
  question.close();
  const silent = waiting.difference(done);
  for (const process of silent) answerers.forget(control, process);
  if (answers.length === 0 && failed !== undefined) throw failed;
  return { answers, silent: waiting.size === 0 && !isNobodyThere ? 1 : silent.size };
}

export async function follow<C extends ControlName>(
  asking: Asking,
  control: C,
  request: ControlRequest<C>,
  onAnswer: (answer: ControlAnswer<C>) => void,
  signal: AbortSignal,
): Promise<void> {
  const { promise: over, resolve: finish, reject } = Promise.withResolvers<void>();
  let isAnswered = false;
  const question = new Question(asking, control, request, {
    heard: () => {
      isAnswered = true;
    },
    // Several may have come at once, and the first of them may have been enough.
    answer: (_, answer) => void (signal.aborted || onAnswer(answer)),
    failure: (_, failure) => reject(failure),
    // Later on it may be a restart: the next question finds whoever is there then.
    nobody: () => void (isAnswered || reject(nobodyRuns(control))),
  });
  const onAbort = () => finish();
  const again = setInterval(() => question.again(), followMsMax / 3);
  const late = setTimeout(finish, controls[control].answerMsMax);
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) finish();
  try {
    await over;
  } finally {
    clearInterval(again);
    clearTimeout(late);
    signal.removeEventListener("abort", onAbort);
    question.close();
  }
}
