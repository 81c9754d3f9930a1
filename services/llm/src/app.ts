/** The OpenAI-compatible door: who asks → is there a model → read the request → ask the provider → answer. */
import { timingSafeEqual } from "node:crypto";
import { ChatRequest, EmbeddingsRequest, Failure, llmLimits, toFailure } from "@tyto/contracts";
import { Counter, Histogram, type Log, type Registry } from "@tyto/service";
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { streamSSE } from "hono/streaming";
import type { z } from "zod";
import type { ChatPiece, Provider, Usage } from "./provider.ts";

export type AppOptions = {
  provider: Provider | undefined;
  model: string | undefined;
  token: string;
  concurrencyMax: number;
  /** From the request to the last byte of the provider. */
  answerMsMax: number;
  log: Log;
  registry: Registry;
};

export function createApp(options: AppOptions): Hono {
  const { provider, log } = options;
  const asked = new Counter({
    name: "tyto_llm_requests_total",
    help: "Requests by operation and outcome",
    labelNames: ["operation", "outcome"],
    registers: [options.registry],
  });
  const answered = new Histogram({
    name: "tyto_llm_answer_seconds",
    help: "Time to the complete answer",
    labelNames: ["operation"],
    buckets: [0.1, 0.5, 1, 2, 5, 10, 30, 60, 300],
    registers: [options.registry],
  });
  let running = 0;

  const app = new Hono();
  app.use(
    "/v1/*",
    bodyLimit({
      maxSize: llmLimits.requestBytesMax,
      onError: () => {
        throw new Failure("request.too-large", "request body", {
          hint: `At most ${llmLimits.requestBytesMax} bytes`,
        });
      },
    }),
  );
  app.use("/v1/*", async (c, next) => {
    if (!isToken(c.req.header("authorization"), options.token))
      throw new Failure("request.unauthenticated", "wrong LLM_TOKEN", {
        hint: "Send Authorization: Bearer LLM_TOKEN",
      });
    await next();
  });

  /** Counts, bounds and times one request to the provider; it is given up when the client leaves. */
  async function ask<T>(
    c: Context,
    operation: string,
    work: (provider: Provider, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    if (provider === undefined)
      throw new Failure("model.off", "LLM_PROVIDER is not set", {
        hint: "Set LLM_PROVIDER and LLM_MODEL, then restart services/llm",
      });
    if (running >= options.concurrencyMax)
      throw new Failure("limit.exceeded", "too many requests at the provider", { retryAfterS: 1 });
    running++;
    const startedAt = performance.now();
    try {
      const signal = AbortSignal.any([c.req.raw.signal, AbortSignal.timeout(options.answerMsMax)]);
      const result = await work(provider, signal);
      asked.inc({ operation, outcome: "ok" });
      return result;
    } catch (error) {
      asked.inc({ operation, outcome: toFailure(error).code });
      throw error;
    } finally {
      running--;
      answered.observe({ operation }, (performance.now() - startedAt) / 1_000);
    }
  }

  const withModel = <T extends { model?: string | undefined }>(request: T): T & { model: string } => {
    const model = request.model ?? options.model;
    if (model === undefined)
      throw new Failure("request.invalid", "no model", { hint: "Name a model, or set LLM_MODEL" });
    return { ...request, model };
  };

  app.post("/v1/chat/completions", async (c) => {
    const wanted = await readBody(c, ChatRequest);
    const id = `chatcmpl-${crypto.randomUUID()}`;
    const created = Math.floor(Date.now() / 1_000);
    if (wanted.stream !== true) {
      const answer = await ask(c, "chat", (provider, signal) => provider.chat(withModel(wanted), signal));
      return c.json({
        id,
        object: "chat.completion",
        created,
        model: answer.model,
        choices: [
          { index: 0, message: { role: "assistant", content: answer.text }, finish_reason: answer.finish },
        ],
        usage: toUsage(answer.usage),
      });
    }

    const request = withModel(wanted);
    const chunk = (delta: Record<string, string>, finish: string | null) =>
      JSON.stringify({
        id,
        object: "chat.completion.chunk",
        created,
        model: request.model,
        choices: [{ index: 0, delta, finish_reason: finish }],
      });
    // The first piece is awaited before the status is sent, so that a refused request is an error and not an empty stream.
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const opened = Promise.withResolvers<{ first: ChatPiece | undefined; rest: AsyncIterator<ChatPiece> }>();
    void ask(c, "chat", async (provider, signal) => {
      const rest = provider.stream(request, signal)[Symbol.asyncIterator]();
      const first = await rest.next();
      opened.resolve({ first: first.done === true ? undefined : first.value, rest });
      await ended;
    }).catch(opened.reject);
    const { first, rest } = await opened.promise;
    return streamSSE(c, async (stream) => {
      try {
        await stream.writeSSE({ data: chunk({ role: "assistant", content: "" }, null) });
        for (let piece = first; piece !== undefined && !stream.aborted; ) {
          if (piece.text !== "") await stream.writeSSE({ data: chunk({ content: piece.text }, null) });
          if (piece.finish !== undefined) await stream.writeSSE({ data: chunk({}, piece.finish) });
          if (piece.usage !== undefined && wanted.stream_options?.include_usage === true)
            await stream.writeSSE({
              data: JSON.stringify({
                id,
                object: "chat.completion.chunk",
                created,
                model: request.model,
                choices: [],
                usage: toUsage(piece.usage),
              }),
            });
          const next = await rest.next();
          piece = next.done === true ? undefined : next.value;
        }
        await stream.writeSSE({ data: "[DONE]" });
      } catch (error) {
        const failure = toFailure(error);
        log.warn("llm.stream-broke", { code: failure.code, error });
        await stream.writeSSE({ data: JSON.stringify(toOpenAiError(failure)) });
      } finally {
        await rest.return?.();
        end();
      }
    });
  });

  app.post("/v1/embeddings", async (c) => {
    const request = withModel(await readBody(c, EmbeddingsRequest));
    const answer = await ask(c, "embeddings", async (provider, signal) => {
      if (provider.embed === undefined)
        throw new Failure("model.off", "no embeddings", {
          hint: "This provider has no embeddings; use ollama, openai or custom",
        });
      return provider.embed(request, signal);
    });
    return c.json({
      object: "list",
      model: answer.model,
      data: answer.vectors.map((embedding, index) => ({ object: "embedding", index, embedding })),
      usage: { prompt_tokens: answer.promptTokens, total_tokens: answer.promptTokens },
    });
  });

  app.get("/v1/models", async (c) => {
    const names = await ask(c, "models", (provider, signal) => provider.models(signal));
    return c.json({
      object: "list",
      data: names.map((id) => ({ id, object: "model", created: 0, owned_by: "provider" })),
    });
  });

  app.notFound(() => {
    throw new Failure("resource.unknown", "no route", {
      hint: "Try POST /v1/chat/completions, POST /v1/embeddings or GET /v1/models",
    });
  });
  app.onError((error, c) => {
    const failure = toFailure(error);
    log[failure.row.http >= 500 && failure.code !== "model.off" ? "error" : "info"]("llm.refused", {
      code: failure.code,
      detail: failure.message,
    });
    if (failure.retryAfterS !== undefined) c.header("retry-after", String(failure.retryAfterS));
    return c.json(toOpenAiError(failure), failure.row.http as 500);
  });
  return app;
}

async function readBody<T>(c: Context, schema: z.ZodType<T>): Promise<T> {
  const body: unknown = await c.req.json().catch((error: unknown) => {
    if (error instanceof Failure) throw error;
    throw new Failure("request.invalid", "body is not JSON", { hint: "Send a JSON body", cause: error });
  });
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map((issue) => ({ path: issue.path.join("."), problem: issue.message }));
  throw new Failure("request.invalid", "request breaks its contract", {
    issues,
    hint: issues.map(({ path, problem }) => `${path || "body"}: ${problem}`).join("; "),
  });
}

const toUsage = ({ promptTokens, completionTokens }: Usage) => ({
  prompt_tokens: promptTokens,
  completion_tokens: completionTokens,
  total_tokens: promptTokens + completionTokens,
});

/** OpenAI's error body: that is what its clients read. */
const toOpenAiError = (failure: Failure) => ({
  error: {
    message: failure.hint === undefined ? failure.row.say : `${failure.row.say}. ${failure.hint}`,
    type: failure.row.retry ? "server_error" : "invalid_request_error",
    code: failure.code,
    param: failure.issues[0]?.path ?? null,
  },
});

function isToken(header: string | undefined, token: string): boolean {
  const given = Buffer.from(header?.replace(/^Bearer\s+/i, "") ?? "");
  const wanted = Buffer.from(token);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}
