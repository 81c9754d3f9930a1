/** Answers as clients of OpenAI read them. */
import type { Failure } from "@tyto/contracts";
import type { ChatAnswer, Embeddings, FinishReason, Usage } from "./provider.ts";

/** What all parts of an answer have in common. */
export type Heading = { id: string; created: number };
export const newHeading = (): Heading => ({
  id: `chatcmpl-${crypto.randomUUID()}`,
  created: Math.floor(Date.now() / 1_000),
});

export const completion = (heading: Heading, { model, text, finish, usage }: ChatAnswer) => ({
  ...heading,
  object: "chat.completion",
  model,
  choices: [{ index: 0, message: { role: "assistant", content: text }, finish_reason: finish }],
  usage: toUsage(usage),
});

type ChunkHeading = Heading & { model: string };
const chunkOf = ({ id, created, model }: ChunkHeading) => ({
  id,
  object: "chat.completion.chunk",
  created,
  model,
});

export const chunk = (heading: ChunkHeading, delta: Record<string, string>, finish: FinishReason | null) => ({
  ...chunkOf(heading),
  choices: [{ index: 0, delta, finish_reason: finish }],
});

export const usageChunk = (heading: ChunkHeading, usage: Usage) => ({
  ...chunkOf(heading),
  choices: [],
  usage: toUsage(usage),
});

export const embeddingList = ({ vectors, model, promptTokens }: Embeddings) => ({
  object: "list",
  data: vectors.map((embedding, index) => ({ object: "embedding", index, embedding })),
  model,
  usage: { prompt_tokens: promptTokens, total_tokens: promptTokens },
});

export const modelList = (names: readonly string[]) => ({
  object: "list",
  data: names.map((id) => ({ id, object: "model", created: 0, owned_by: "provider" })),
});

const toUsage = ({ promptTokens, completionTokens }: Usage) => ({
  prompt_tokens: promptTokens,
  completion_tokens: completionTokens,
  total_tokens: promptTokens + completionTokens,
});

/** OpenAI's error body. */
export const toOpenAiError = (failure: Failure) => ({
  error: {
    message: failure.hint === undefined ? failure.row.say : `${failure.row.say}. ${failure.hint}`,
    type: failure.row.retry ? "server_error" : "invalid_request_error",
    code: failure.code,
    param: failure.issues[0]?.path ?? null,
  },
});
