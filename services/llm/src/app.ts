/** The OpenAI-compatible door: who asks → is there a model → read the request → ask the provider → answer. */
import { timingSafeEqual } from "node:crypto";
import { ChatRequest, EmbeddingsRequest, Failure, llmLimits, toFailure } from "@tyto/contracts";
import type { Log } from "@tyto/service";
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import type { z } from "zod";
import { Asking, type AskingOptions } from "./asking.ts";
import { completion, embeddingList, modelList, newHeading, toOpenAiError } from "./openai.ts";
import { streamChat } from "./streaming.ts";

export type AppOptions = AskingOptions & { model: string | undefined; token: string; log: Log };

export function createApp(options: AppOptions): Hono {
  const { log } = options;
  const asking = new Asking(options);
  const withModel = <T extends { model?: string | undefined }>(request: T): T & { model: string } => {
    const model = request.model ?? options.model;
    if (model === undefined)
      throw new Failure("request.invalid", "no model", { hint: "Name a model, or set LLM_MODEL" });
    return { ...request, model };
  };

  const app = new Hono();
  guard(app, options.token);
  app.post("/v1/chat/completions", async (c) => {
    const wanted = await readBody(c, ChatRequest);
    const heading = newHeading();
    if (wanted.stream === true) return streamChat(c, { asking, log }, withModel(wanted), heading);
    const answer = await asking.ask(c, "chat", (provider, signal) =>
      provider.chat(withModel(wanted), signal),
    );
    return c.json(completion(heading, answer));
  });

  app.post("/v1/embeddings", async (c) => {
    const request = withModel(await readBody(c, EmbeddingsRequest));
    const answer = await asking.ask(c, "embeddings", async (provider, signal) => {
      if (provider.embed === undefined)
        throw new Failure("model.off", "no embeddings", {
          hint: "This provider has no embeddings; use ollama, openai or custom",
        });
      return provider.embed(request, signal);
    });
    return c.json(embeddingList(answer));
  });

  app.get("/v1/models", async (c) =>
    c.json(modelList(await asking.ask(c, "models", (provider, signal) => provider.models(signal)))),
  );

  app.notFound(() => {
    throw new Failure("resource.unknown", "no route", {
      hint: "Try POST /v1/chat/completions, POST /v1/embeddings or GET /v1/models",
    });
  });
  app.onError((error, c) => refuse(c, toFailure(error), log));
  return app;
}

/** Whoever has the token, and no more bytes than a request may have. */
function guard(app: Hono, token: string): void {
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
    if (!isToken(c.req.header("authorization"), token))
      throw new Failure("request.unauthenticated", "wrong LLM_TOKEN", {
        hint: "Send Authorization: Bearer LLM_TOKEN",
      });
    await next();
  });
}

function refuse(c: Context, failure: Failure, log: Log): Response {
  log[failure.row.http >= 500 && failure.code !== "model.off" ? "error" : "info"]("llm.refused", {
    code: failure.code,
    detail: failure.message,
  });
  if (failure.retryAfterS !== undefined) c.header("retry-after", String(failure.retryAfterS));
  return c.json(toOpenAiError(failure), failure.row.http as 500);
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

function isToken(header: string | undefined, token: string): boolean {
  const given = Buffer.from(header?.replace(/^Bearer\s+/i, "") ?? "");
  const wanted = Buffer.from(token);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}
