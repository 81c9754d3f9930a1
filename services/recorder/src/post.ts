/** Signed requests to Convex's HTTP actions, and what their answers mean. */
import { signatureHeaders } from "./signature.ts";

export type Answer =
  | { kind: "ok"; body: unknown }
  /** The request itself is wrong: sending it again gives the same. */
  | { kind: "refused"; problem: string }
  /** Convex took the request and failed with it; whether the request or Convex is to blame is not known. */
  | { kind: "failed"; problem: string }
  /** Convex is away, overloaded, without our functions, or does not accept our signature. */
  | { kind: "down"; problem: string };

export type Post = (
  path: "/events" | "/inbound" | "/inbound/upload" | "/inbound/uploaded",
  body: Uint8Array,
  headers?: Record<string, string>,
) => Promise<Answer>;

/** Posts bytes as they come to an upload URL of Convex's. Throws only what `chunks` throws. */
export type Upload = (url: string, chunks: AsyncGenerator<Uint8Array>) => Promise<Answer>;

/** Below what a service may take to stop. */
const answerMsMax = 15_000;
/** For as much as a message may have; a stop in between leaves the message in the stream. */
const uploadMsMax = 120_000;
const problemCharsMax = 300;

/** Never throws: every way to fail is an answer. */
export function createPost(siteUrl: string, key: Uint8Array, now: () => number): Post {
  const origin = siteUrl.replace(/\/+$/, "");
  return async (path, body, headers = {}) => {
    const id = `msg_${crypto.randomUUID()}`;
    try {
      const response = await fetch(origin + path, {
        method: "POST",
        // A copy: fetch takes no view of a shared buffer.
        body: new Uint8Array(body),
        headers: { ...headers, ...signatureHeaders(key, id, now(), body) },
        signal: AbortSignal.timeout(answerMsMax),
        redirect: "error",
      });
      return await answerIn(response);
    } catch (error) {
      return noAnswer(error);
    }
  };
}

/**
 * Uploads go to `convexUrl`, whatever address Convex calls itself by: that may be one for browsers, which leads elsewhere
 * from here.
 */
export function createUpload(convexUrl: string): Upload {
  return async (url, chunks) => {
    const { pathname, search } = new URL(url);
    let broken: { error: unknown } | undefined;
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        try {
          const { done, value } = await chunks.next();
          if (done) controller.close();
          else controller.enqueue(value);
        } catch (error) {
          broken = { error };
          controller.error(error);
        }
      },
      cancel: async () => void (await chunks.return(undefined)),
    });
    try {
      const response = await fetch(new URL(pathname + search, convexUrl), {
        method: "POST",
        body,
        headers: { "content-type": "message/rfc822" },
        signal: AbortSignal.timeout(uploadMsMax),
        redirect: "error",
      });
      return await answerIn(response);
    } catch (error) {
      if (broken !== undefined) throw broken.error;
      return noAnswer(error);
    }
  };
}

async function answerIn(response: Response): Promise<Answer> {
  const text = await response.text();
  if (response.ok) return { kind: "ok", body: JSON.parse(text) };
  return { kind: meaningOf(response.status), problem: problemIn(response.status, text) };
}

const noAnswer = (error: unknown): Answer => ({
  kind: "down",
  problem: error instanceof Error ? error.message : String(error),
});

function meaningOf(status: number): "refused" | "failed" | "down" {
  if (status === 500) return "failed";
  return status === 400 || status === 413 || status === 415 || status === 422 ? "refused" : "down";
}

/** `401 webhook-signature does not match`: the detail of a problem document, else the first of the text. */
function problemIn(status: number, text: string): string {
  const detail = /"detail":"((?:[^"\\]|\\.)*)"/.exec(text)?.[1] ?? text;
  return `${status} ${detail}`.slice(0, problemCharsMax);
}
