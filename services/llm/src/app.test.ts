import { afterEach, expect, test } from "bun:test";
import { Registry, silentLog } from "@tyto/service";
import { createApp } from "./app.ts";
import type { ProviderName } from "./config.ts";
import { providers } from "./providers/index.ts";

const token = "a-token-of-enough-length";
const servers: Bun.Server<undefined>[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop(true);
});

/** A provider's HTTP server that answers by path, and keeps what it was asked. */
function upstream(answers: Record<string, (body: unknown, request: Request) => Response>) {
  const asked: { path: string; body: unknown; headers: Headers }[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const path = new URL(request.url).pathname;
      const body: unknown = request.method === "POST" ? await request.json() : undefined;
      asked.push({ path, body, headers: request.headers });
      return answers[path]?.(body, request) ?? new Response("no such path", { status: 404 });
    },
  });
  servers.push(server);
  return { url: `http://127.0.0.1:${server.port}`, asked };
}

function app(name: ProviderName | undefined, baseUrl = "", model: string | undefined = "small") {
  const provider = name === undefined ? undefined : providers[name]({ baseUrl, apiKey: "provider-key" });
  const options = {
    provider,
    model,
    token,
    concurrencyMax: 2,
    answerMsMax: 30_000,
    log: silentLog,
    registry: new Registry(),
  };
  const created = createApp(options);
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  return (path: string, body?: unknown, init: RequestInit = {}) =>
    created.request(path, {
      method: body === undefined ? "GET" : "POST",
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...init,
    });
}

const hello = {
  messages: [
    { role: "system", content: "Be brief" },
    { role: "user", content: "Hi" },
  ],
};
const lines = (...parts: unknown[]) => parts.map((part) => `data: ${JSON.stringify(part)}\n\n`).join("");
const jsonLines = (...parts: unknown[]) => parts.map((part) => `${JSON.stringify(part)}\n`).join("");

const openAiAnswer = {
  model: "small-1",
  choices: [{ message: { content: "Hello" }, finish_reason: "stop" }],
  usage: { prompt_tokens: 5, completion_tokens: 1 },
};
const openAiStream = `${lines(
  { choices: [{ delta: { role: "assistant" } }] },
  { choices: [{ delta: { content: "Hel" } }] },
  { choices: [{ delta: { content: "lo" }, finish_reason: "stop" }] },
  { choices: [], usage: { prompt_tokens: 5, completion_tokens: 2 } },
)}data: [DONE]\n\n`;
const anthropicAnswer = {
  model: "small-1",
  content: [{ type: "text", text: "Hello" }],
  stop_reason: "end_turn",
  usage: { input_tokens: 5, output_tokens: 1 },
};
const anthropicStream = lines(
  { type: "message_start", message: { usage: { input_tokens: 5, output_tokens: 0 } } },
  { type: "content_block_delta", delta: { type: "text_delta", text: "Hel" } },
  { type: "content_block_delta", delta: { type: "text_delta", text: "lo" } },
  { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 2 } },
  { type: "message_stop" },
);
const ollamaEnd = { model: "small-1", done: true, done_reason: "stop", prompt_eval_count: 5 };
const ollamaAnswer = { ...ollamaEnd, message: { role: "assistant", content: "Hello" }, eval_count: 1 };
const ollamaStream = jsonLines(
  { model: "small-1", done: false, message: { role: "assistant", content: "Hel" } },
  { model: "small-1", done: false, message: { role: "assistant", content: "lo" } },
  { ...ollamaEnd, message: { role: "assistant", content: "" }, eval_count: 2 },
);

const wires = [
  ["openai", "/chat/completions", openAiAnswer, openAiStream],
  ["custom", "/chat/completions", openAiAnswer, openAiStream],
  ["anthropic", "/messages", anthropicAnswer, anthropicStream],
  ["ollama", "/api/chat", ollamaAnswer, ollamaStream],
] as const;

test.each(wires)("%s answers a chat", async (name, path, answer) => {
  const server = upstream({ [path]: () => Response.json(answer) });
  const response = await app(name, server.url)("/v1/chat/completions", hello);
  expect(response.status).toBe(200);
  expect(await response.json()).toMatchObject({
    object: "chat.completion",
    model: "small-1",
    choices: [{ message: { role: "assistant", content: "Hello" }, finish_reason: "stop" }],
    usage: { prompt_tokens: 5, completion_tokens: 1, total_tokens: 6 },
  });
  expect(server.asked[0]?.body).toMatchObject({ model: "small" });
});

test.each(wires)("%s streams a chat as OpenAI's clients read it", async (name, path, _answer, stream) => {
  const server = upstream({ [path]: () => new Response(stream) });
  const response = await app(name, server.url)("/v1/chat/completions", {
    ...hello,
    stream: true,
    stream_options: { include_usage: true },
  });
  expect(response.headers.get("content-type")).toContain("text/event-stream");
  const data = (await response.text())
    .split("\n")
    .flatMap((line) => (line.startsWith("data: ") ? [line.slice(6)] : []));
  expect(data.at(-1)).toBe("[DONE]");
  const pieces = data.slice(0, -1).map((text) => JSON.parse(text));
  expect(pieces.map((piece) => piece.choices[0]?.delta.content ?? "").join("")).toBe("Hello");
  expect(pieces.some((piece) => piece.choices[0]?.finish_reason === "stop")).toBe(true);
  expect(pieces.at(-1).usage).toEqual({ prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 });
});

test("anthropic gets the system prompt apart and its own key header", async () => {
  const server = upstream({ "/messages": () => Response.json(anthropicAnswer) });
  await app("anthropic", server.url)("/v1/chat/completions", hello);
  expect(server.asked[0]?.body).toMatchObject({
    system: "Be brief",
    messages: [{ role: "user", content: "Hi" }],
    max_tokens: 4_096,
  });
  expect(server.asked[0]?.headers.get("x-api-key")).toBe("provider-key");
});

test("embeddings come back in the order of the inputs", async () => {
  const data = [
    { embedding: [2], index: 1 },
    { embedding: [1], index: 0 },
  ];
  const openAi = upstream({
    "/embeddings": () => Response.json({ model: "e", data, usage: { prompt_tokens: 2 } }),
  });
  const ollama = upstream({
    "/api/embed": () => Response.json({ model: "e", embeddings: [[1], [2]], prompt_eval_count: 2 }),
  });
  for (const [name, server] of [
    ["custom", openAi],
    ["ollama", ollama],
  ] as const) {
    const response = await app(name, server.url)("/v1/embeddings", { input: ["a", "b"] });
    expect(await response.json()).toMatchObject({
      data: [
        { index: 0, embedding: [1] },
        { index: 1, embedding: [2] },
      ],
    });
  }
  expect((await app("anthropic", openAi.url)("/v1/embeddings", { input: "a" })).status).toBe(501);
});

test("without a provider every request says what to set", async () => {
  const response = await app(undefined)("/v1/chat/completions", hello);
  expect(response.status).toBe(501);
  expect((await response.json()).error.message).toContain("LLM_PROVIDER");
});

test("nobody gets in without the token", async () => {
  for (const headers of [{}, { authorization: "Bearer wrong" }, { authorization: `Bearer ${token}x` }])
    expect((await app("custom", "http://127.0.0.1:9")("/v1/models", undefined, { headers })).status).toBe(
      401,
    );
});

test.each([
  ["{", 400, "JSON"],
  [JSON.stringify({ messages: [] }), 400, "messages"],
  [JSON.stringify({ ...hello, tools: [] }), 400, "tools"],
  [JSON.stringify({ ...hello, temperature: 9 }), 400, "temperature"],
])("a bad request says what is wrong: %s", async (body, status, word) => {
  const response = await app("custom", "http://127.0.0.1:9")("/v1/chat/completions", {}, { body });
  expect(response.status).toBe(status);
  expect((await response.json()).error.message).toContain(word);
});

test.each([
  [429, 429, "limit.exceeded"],
  [500, 503, "upstream.down"],
  [401, 502, "upstream.refused"],
  [404, 502, "upstream.refused"],
])("a provider's %d becomes our %d", async (theirs, ours, code) => {
  for (const [name, path] of wires) {
    const server = upstream({
      [path]: () => Response.json({ error: { message: "model x is unknown" } }, { status: theirs }),
    });
    for (const stream of [false, true]) {
      const response = await app(name, server.url)("/v1/chat/completions", { ...hello, stream });
      expect({ name, stream, status: response.status, code: (await response.json()).error.code }).toEqual({
        name,
        stream,
        status: ours,
        code,
      });
    }
  }
});

test("a provider that is not there is 'try again', and its key is never shown", async () => {
  const response = await app("openai", "http://127.0.0.1:1")("/v1/chat/completions", hello);
  expect(response.status).toBe(503);
  expect(await response.text()).not.toContain("provider-key");
});

test("a client that leaves ends the request at the provider", async () => {
  const left = Promise.withResolvers<void>();
  const arrived = Promise.withResolvers<void>();
  const server = upstream({
    "/chat/completions": (_body, request) => {
      request.signal.addEventListener("abort", () => left.resolve());
      arrived.resolve();
      return new Response(new ReadableStream({ start() {} }));
    },
  });
  const leaving = new AbortController();
  const asking = Promise.resolve(
    app("custom", server.url)("/v1/chat/completions", hello, { signal: leaving.signal }),
  );
  await arrived.promise;
  leaving.abort();
  await left.promise;
  expect((await asking).status).toBe(503);
});
