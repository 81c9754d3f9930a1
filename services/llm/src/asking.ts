import { Failure, toFailure } from "@tyto/contracts";
import { Counter, Histogram, type Registry } from "@tyto/service";
import type { Context } from "hono";
import type { Provider } from "./provider.ts";

export type AskingOptions = {
  provider: Provider | undefined;
  concurrencyMax: number;
  /** From the request to the last byte of the provider. */
  answerMsMax: number;
  registry: Registry;
};

type Work<T> = (provider: Provider, signal: AbortSignal) => Promise<T>;

/** Counts, bounds and times the requests to the provider; one is given up when its client leaves. */
export class Asking {
  readonly #options: AskingOptions;
  readonly #asked: Counter<"operation" | "outcome">;
  readonly #answered: Histogram<"operation">;
  #running = 0;

  constructor(options: AskingOptions) {
    this.#options = options;
    const registers = [options.registry];
    this.#asked = new Counter({
      name: "tyto_llm_requests_total",
      help: "Requests by operation and outcome",
      labelNames: ["operation", "outcome"],
      registers,
    });
    this.#answered = new Histogram({
      name: "tyto_llm_answer_seconds",
      help: "Time to the complete answer",
      labelNames: ["operation"],
      buckets: [0.1, 0.5, 1, 2, 5, 10, 30, 60, 300],
      registers,
    });
  }

  /** Throws Failure `model.off`, `limit.exceeded`, or what the work throws. */
  async ask<T>(c: Context, operation: string, work: Work<T>): Promise<T> {
    const { provider, concurrencyMax, answerMsMax } = this.#options;
    if (provider === undefined)
      throw new Failure("model.off", "LLM_PROVIDER is not set", {
        hint: "Set LLM_PROVIDER and LLM_MODEL, then restart services/llm",
      });
    if (this.#running >= concurrencyMax)
      throw new Failure("limit.exceeded", "too many requests at the provider", { retryAfterS: 1 });
    this.#running++;
    const startedAt = performance.now();
    try {
      const signal = AbortSignal.any([c.req.raw.signal, AbortSignal.timeout(answerMsMax)]);
      const result = await work(provider, signal);
      this.#asked.inc({ operation, outcome: "ok" });
      return result;
    } catch (error) {
      this.#asked.inc({ operation, outcome: toFailure(error).code });
      throw error;
    } finally {
      this.#running--;
      this.#answered.observe({ operation }, (performance.now() - startedAt) / 1_000);
    }
  }
}
