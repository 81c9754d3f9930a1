import { afterEach, expect, test } from "bun:test";
import { llmLimits } from "@tyto/contracts";
import { ConfigError, silentLog } from "@tyto/service";
import { readConfig } from "./config.ts";
import { start } from "./start.ts";

const token = "a-token-of-enough-length";
const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

/** An OpenAI-compatible provider that answers a chat as told, over real HTTP. */
function upstream(answer: (request: Request) => Response | Promise<Response>): string {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, idleTimeout: 0, fetch: answer });
  stops.push(() => server.stop(true));
  return `http://127.0.0.1:${server.port}`;
}

async function llm(baseUrl: string, more: Record<string, string> = {}) {
  const running = await start(
    readConfig({
      LLM_PORT: "0",
      HEALTH_PORT: "0",
      LLM_TOKEN: token,
      LLM_PROVIDER: "custom",
      LLM_BASE_URL: baseUrl,
      LLM_MODEL: "small",
      ...more,
    }),
    silentLog,
  );
  stops.push(() => running.stop());
  return (init: RequestInit & { stream?: boolean; body?: string } = {}) =>
    fetch(`${running.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({ messages: [{ role: "user", content: "Hi" }], stream: init.stream === true }),
      ...init,
    });
}

const codeOf = async (response: Response) => [
  response.status,
  ((await response.json()) as { error: { code: string } }).error.code,
];
const piece = (text: string) =>
  `data: ${JSON.stringify({ choices: [{ delta: { content: text }, finish_reason: null }] })}\n\n`;
const bytes = (text: string) => new TextEncoder().encode(text);

test("a client that leaves in the middle of a stream ends the request at the provider, and frees its place", async () => {
  const left = Promise.withResolvers<void>();
  const ask = await llm(
    upstream((request) => {
      request.signal.addEventListener("abort", () => left.resolve());
      return new Response(
        new ReadableStream({
          async pull(controller) {
            controller.enqueue(bytes(piece("word ")));
            await Bun.sleep(5);
          },
        }),
        { headers: { "content-type": "text/event-stream" } },
      );
    }),
    { LLM_CONCURRENCY: "1" },
  );
  const leaving = new AbortController();
  const response = await ask({ stream: true, signal: leaving.signal });
  expect(response.status).toBe(200);
  const reader = response.body?.getReader();
  expect(new TextDecoder().decode((await reader?.read())?.value)).toContain("chat.completion.chunk");
  expect(await codeOf(await ask())).toEqual([429, "limit.exceeded"]);
  leaving.abort();
  await left.promise;
  let status = 429;
  for (const giveUpAtMs = Date.now() + 30_000; status === 429 && Date.now() < giveUpAtMs; ) {
    const again = new AbortController();
    const next = await ask({ stream: true, signal: again.signal });
    status = next.status;
    again.abort();
    if (status === 429) await Bun.sleep(5);
  }
  expect(status).toBe(200);
});

test.each([
  ["sends nonsense", "data: {broken\n\n"],
  ["hangs up early", ""],
])("a stream whose provider %s ends with an error, never with [DONE]", async (_, second) => {
  const ask = await llm(
    upstream(() => {
      let isFirst = true;
      return new Response(
        new ReadableStream({
          pull(controller) {
            if (!isFirst) return second === "" ? controller.close() : controller.enqueue(bytes(second));
            isFirst = false;
            controller.enqueue(bytes(piece("half")));
          },
        }),
      );
    }),
  );
  const text = await (await ask({ stream: true })).text();
  expect(text).toContain("half");
  expect(text).toContain('"code":"upstream.down"');
  expect(text).not.toContain("[DONE]");
});

test.each([
  ["<html>busy</html>", "HTML"],
  ["{}", "another shape"],
  ['{"choices":[]}', "no choice"],
])("an answer that is none is the provider's trouble: %s (%s)", async (body) => {
  const ask = await llm(upstream(() => new Response(body)));
  expect(await codeOf(await ask())).toEqual([503, "upstream.down"]);
});

test("a provider that takes too long is given up", async () => {
  const ask = await llm(
    upstream(
      (request) =>
        new Promise((resolve) => request.signal.addEventListener("abort", () => resolve(new Response()))),
    ),
    { LLM_ANSWER_S: "1" },
  );
  expect(await codeOf(await ask())).toEqual([503, "upstream.down"]);
});

test("a request that is too large is refused before the provider hears of it", async () => {
  let asked = 0;
  const ask = await llm(
    upstream(() => {
      asked++;
      return new Response();
    }),
  );
  expect((await ask({ body: "x".repeat(llmLimits.requestBytesMax + 1) })).status).toBe(413);
  expect(asked).toBe(0);
});

test("custom without an address does not start, and says what to set", async () => {
  const config = readConfig({ LLM_TOKEN: token, LLM_PROVIDER: "custom", LLM_PORT: "0", HEALTH_PORT: "0" });
  await expect(start(config, silentLog)).rejects.toThrow(ConfigError);
});
