/**
 * Questions to running processes over core NATS. The answers go to `ctl.answer.<who asks>.<question>`, which is no inbox:
 * an answerer says things there alone, whatever subject the question names for its answer.
 */
import type { Control } from "../bus.ts";
import { Answerers } from "./answerers.ts";
import { Answering, type AnsweringParts } from "./answering.ts";
import { type Asking, ask, askAll, follow } from "./asking.ts";

type Options = {
  /** The NATS user, which its answers are addressed to. */
  who: string;
  /** Processes that are heard of within this time are waited for. */
  hearMs?: number;
  now?: () => number;
};

const hearMsDefault = 300;

export function createControl(
  parts: Omit<AnsweringParts, "now">,
  { who, hearMs = hearMsDefault, now = Date.now }: Options,
): Control & { stop(): void } {
  const { link, log } = parts;
  const asking: Asking = { link, log, who, hearMs, answerers: new Answerers(now) };
  const answering = new Answering({ link, log, now });
  return {
    ask: (control, request) => ask(asking, control, request),
    askAll: (control, request) => askAll(asking, control, request),
    follow: (control, request, onAnswer, signal) => follow(asking, control, request, onAnswer, signal),
    answer: (control, handler) => answering.once(control, handler),
    answerOften: (control, handler) => answering.often(control, handler),
    stop: () => answering.stop(),
  };
}
