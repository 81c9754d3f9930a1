import { Failure } from "@tyto/contracts";
import type { z } from "zod";

const errorBytesMax = 16_384;
const lineCharsMax = 1_048_576;

/** A request to a provider; answers other than 2xx become a Failure with the provider's own words as the hint. */
export async function ask(url: string, init: RequestInit): Promise<Response> {
  const answer = await fetch(url, init).catch((error: unknown) => {
    throw new Failure("upstream.down", `no answer from ${new URL(url).origin}: ${String(error)}`, {
      cause: error,
    });
  });
  if (answer.ok) return answer;
  throw refusal(
    answer.status,
    (await answer.text()).slice(0, errorBytesMax),
    answer.headers.get("retry-after"),
  );
}

/** What a provider's error status means for the caller. */
export function refusal(status: number, body: string, retryAfter: string | null): Failure {
  const detail = `provider answered ${status}: ${body}`;
  const hint = messageOf(body);
  const said = hint === undefined ? {} : { hint };
  if (status === 429) {
    const seconds = Number(retryAfter);
    return new Failure("limit.exceeded", detail, {
      ...said,
      retryAfterS: Number.isFinite(seconds) && seconds > 0 ? seconds : 5,
    });
  }
  if (status >= 500 || status === 408) return new Failure("upstream.down", detail);
  // Our key, not the caller's: what the provider says about it is for the log alone.
  if (status === 401 || status === 403)
    return new Failure("upstream.refused", detail, { hint: "Check LLM_API_KEY" });
  return new Failure("upstream.refused", detail, said);
}

/** The text of `{"error": {"message": …}}`, `{"error": "…"}` or `{"message": …}`. */
function messageOf(body: string): string | undefined {
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed !== "object" || parsed === null) return undefined;
    const error = "error" in parsed ? parsed.error : parsed;
    const text = typeof error === "object" && error !== null && "message" in error ? error.message : error;
    return typeof text === "string" ? text.slice(0, 500) : undefined;
  } catch {
    // Not JSON: some proxies answer with HTML, which helps nobody.
    return undefined;
  }
}

/** A stream that ended without saying why: half an answer must not pass for a whole one. */
export const cutOff = () => new Failure("upstream.down", "the stream ended before the answer did");

/** The `data:` payloads of a server-sent event stream, one event at a time, bounded by `lineCharsMax`. */
export async function* serverSentData(body: ReadableStream<Uint8Array>): AsyncIterable<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of unbroken(body)) {
    rest += decoder.decode(chunk, { stream: true });
    if (rest.length > lineCharsMax) throw new Failure("upstream.down", "the provider sent an endless line");
    const lines = rest.split(/\r?\n/);
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.startsWith("data:")) yield line.slice(5).trim();
  }
  if (rest.startsWith("data:")) yield rest.slice(5).trim();
}

async function* unbroken(body: ReadableStream<Uint8Array>): AsyncIterable<Uint8Array> {
  try {
    yield* body;
  } catch (error) {
    throw new Failure("upstream.down", `the answer broke off: ${String(error)}`, { cause: error });
  }
}

/** The JSON of a complete answer. Throws Failure `upstream.down` when it broke off or is no JSON. */
export async function answerJson(answer: Response): Promise<unknown> {
  const text = await answer.text().catch((error: unknown) => {
    throw new Failure("upstream.down", `the answer broke off: ${String(error)}`, { cause: error });
  });
  return parseJson(text);
}

/** The JSON of one event. Throws Failure `upstream.down` for anything else. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Failure("upstream.down", `the provider sent no JSON: ${text.slice(0, 200)}`, { cause: error });
  }
}

/** A provider's answer by its schema; another shape is the provider's trouble and worth another try. */
export function readAnswer<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new Failure("upstream.down", `the provider's answer has another shape: ${parsed.error.message}`);
}
