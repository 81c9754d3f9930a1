/** A chat answered piece by piece, as server-sent events. */
import { type ChatRequest, toFailure } from "@tyto/contracts";
import type { Log } from "@tyto/service";
import type { Context } from "hono";
import { type SSEStreamingApi, streamSSE } from "hono/streaming";
import type { Asking } from "./asking.ts";
import { chunk, type Heading, toOpenAiError, usageChunk } from "./openai.ts";
import type { ChatPiece } from "./provider.ts";

type Request = ChatRequest & { model: string };
type Opened = {
  first: ChatPiece | undefined;
  rest: AsyncIterator<ChatPiece>;
  /** Ends the request at the provider. */
  end(): Promise<void>;
};

export async function streamChat(
  c: Context,
  { asking, log }: { asking: Asking; log: Log },
  request: Request,
  heading: Heading,
): Promise<Response> {
  const opened = await openStream(c, asking, request);
  return streamSSE(c, async (stream) => {
    try {
      await writePieces(stream, opened, request, { ...heading, model: request.model });
    } catch (error) {
      const failure = toFailure(error);
      log.warn("llm.stream-broke", { code: failure.code, error });
      await stream.writeSSE({ data: JSON.stringify(toOpenAiError(failure)) });
    } finally {
      await opened.end();
    }
  });
}

/** The first piece is awaited before the status is sent, so that a refused request is an error and not an empty stream. */
async function openStream(c: Context, asking: Asking, request: Request): Promise<Opened> {
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<Opened>();
  const work = asking.ask(c, "chat", async (provider, signal) => {
    const rest = provider.stream(request, signal)[Symbol.asyncIterator]();
    const first = await rest.next();
    opened.resolve({
      first: first.done === true ? undefined : first.value,
      rest,
      async end() {
        await rest.return?.();
        end();
      },
    });
    await ended;
  });
  work.catch(opened.reject);
  return await opened.promise;
}

async function writePieces(
  stream: SSEStreamingApi,
  { first, rest }: Opened,
  { stream_options: options }: Request,
  heading: Heading & { model: string },
): Promise<void> {
  const write = (data: unknown) => stream.writeSSE({ data: JSON.stringify(data) });
  await write(chunk(heading, { role: "assistant", content: "" }, null));
  for (let piece = first; piece !== undefined && !stream.aborted; ) {
    if (piece.text !== "") await write(chunk(heading, { content: piece.text }, null));
    if (piece.finish !== undefined) await write(chunk(heading, {}, piece.finish));
    if (piece.usage !== undefined && options?.include_usage === true)
      await write(usageChunk(heading, piece.usage));
    const next = await rest.next();
    piece = next.done === true ? undefined : next.value;
  }
  await stream.writeSSE({ data: "[DONE]" });
}
