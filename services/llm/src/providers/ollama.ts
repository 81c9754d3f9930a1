/** Ollama on your own machine, through its own client. */
import { type ChatRequest, Failure } from "@tyto/contracts";
import { Ollama } from "ollama";
import type { FinishReason, MakeProvider } from "../provider.ts";
import { refusal } from "../upstream.ts";

const finish = (reason: string | undefined): FinishReason => (reason === "length" ? "length" : "stop");

/** Ollama's client throws its own error with a status; without one, nothing answered. */
function understood(error: unknown): Failure {
  if (error instanceof Failure) return error;
  const status =
    typeof error === "object" && error !== null && "status_code" in error ? Number(error.status_code) : 0;
  const text = error instanceof Error ? error.message : String(error);
  if (status === 0) return new Failure("upstream.down", `no answer from ollama: ${text}`, { cause: error });
  const failure = refusal(status, JSON.stringify({ error: text }), null);
  return status === 404
    ? new Failure("upstream.refused", text, { hint: `${text}; pull it first: ollama pull MODEL` })
    : failure;
}

function toChat(request: ChatRequest & { model: string }) {
  const tokensMax = request.max_completion_tokens ?? request.max_tokens;
  return {
    model: request.model,
    messages: request.messages.map(({ role, content }) => ({
      role: role === "developer" ? "system" : role,
      content,
    })),
    ...(request.response_format?.type === "json_object" ? { format: "json" } : {}),
    options: {
      ...(request.temperature === undefined ? {} : { temperature: request.temperature }),
      ...(request.top_p === undefined ? {} : { top_p: request.top_p }),
      ...(request.seed === undefined ? {} : { seed: request.seed }),
      ...(request.stop === undefined ? {} : { stop: request.stop }),
      ...(tokensMax === undefined ? {} : { num_predict: tokensMax }),
    },
  };
}

export const ollama: MakeProvider = ({ baseUrl = "http://127.0.0.1:11434" }) => {
  // Seeds and compose name Ollama by its OpenAI-compatible path; its own client wants the host.
  const host = baseUrl.replace(/\/v1\/?$/, "").replace(/\/+$/, "");
  /** The client cannot be given a signal per call, but its fetch can. */
  const client = (signal: AbortSignal) =>
    new Ollama({
      host,
      fetch: Object.assign(
        (input: string | URL | Request, init?: RequestInit) => fetch(input, { ...init, signal }),
        fetch,
      ),
    });

  return {
    async chat(request, signal) {
      try {
        const answer = await client(signal).chat({ ...toChat(request), stream: false });
        return {
          model: answer.model,
          text: answer.message.content,
          finish: finish(answer.done_reason),
          usage: { promptTokens: answer.prompt_eval_count ?? 0, completionTokens: answer.eval_count ?? 0 },
        };
      } catch (error) {
        throw understood(error);
      }
    },
    async *stream(request, signal) {
      try {
        for await (const part of await client(signal).chat({ ...toChat(request), stream: true })) {
          if (!part.done) yield { text: part.message.content };
          else
            yield {
              text: part.message.content,
              finish: finish(part.done_reason),
              usage: { promptTokens: part.prompt_eval_count ?? 0, completionTokens: part.eval_count ?? 0 },
            };
        }
      } catch (error) {
        throw understood(error);
      }
    },
    async embed(request, signal) {
      try {
        const answer = await client(signal).embed({
          model: request.model,
          input: request.input,
          ...(request.dimensions === undefined ? {} : { dimensions: request.dimensions }),
        });
        return {
          model: answer.model,
          vectors: answer.embeddings,
          promptTokens: answer.prompt_eval_count ?? 0,
        };
      } catch (error) {
        throw understood(error);
      }
    },
    async models(signal) {
      try {
        return (await client(signal).list()).models.map(({ name }) => name);
      } catch (error) {
        throw understood(error);
      }
    },
  };
};
