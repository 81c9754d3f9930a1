import type { ChatRequest, EmbeddingsRequest } from "@tyto/contracts";

export type Usage = { promptTokens: number; completionTokens: number };
export type FinishReason = "stop" | "length" | "content_filter";

export type ChatAnswer = { model: string; text: string; finish: FinishReason; usage: Usage };
/** One piece of a streamed answer; the last one has `finish`. */
export type ChatPiece = { text: string; finish?: FinishReason; usage?: Usage };
export type Embeddings = { model: string; vectors: number[][]; promptTokens: number };

/**
 * A model provider. Requests arrive checked and with a model; every call gives up when `signal` fires and throws
 * Failure: `upstream.down` (try again), `upstream.refused`, `limit.exceeded`, `request.invalid`.
 */
export type Provider = {
  chat(request: ChatRequest & { model: string }, signal: AbortSignal): Promise<ChatAnswer>;
  stream(request: ChatRequest & { model: string }, signal: AbortSignal): AsyncIterable<ChatPiece>;
  /** Absent where the provider has no embeddings. */
  embed?(request: EmbeddingsRequest & { model: string }, signal: AbortSignal): Promise<Embeddings>;
  models(signal: AbortSignal): Promise<string[]>;
};

export type Upstream = { baseUrl: string | undefined; apiKey: string | undefined };
export type MakeProvider = (upstream: Upstream) => Provider;
