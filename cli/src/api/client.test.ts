import { expect, test } from "bun:test";
import { Failure, toProblem } from "@tyto/contracts";
import { callApi, problem } from "./client.ts";

test("a problem tells what is wrong where and what to do", () => {
  const failure = new Failure("request.invalid", "private", {
    hint: "see /docs",
    issues: [{ path: "to[0]", problem: "must be name@example.com" }],
  });
  const trouble = problem(400, toProblem(failure, "req_1"), "");
  expect(trouble.message).toBe("The request is not valid (400)\n  to[0]: must be name@example.com");
  expect(trouble.hint).toBe("see /docs");
});

test("an answer of something else than Tyto is shown as it is", () => {
  expect(problem(502, undefined, "<h1>Bad gateway</h1>").message).toBe("answered 502: <h1>Bad gateway</h1>");
});

test("the key goes as a bearer token and the answer is the JSON", async () => {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) =>
      Response.json({ authorization: request.headers.get("authorization"), body: await request.json() }),
  });
  const api = { url: `http://127.0.0.1:${server.port}`, key: "tyto_key" };
  expect(await callApi(api, "POST", "/v1/emails", { to: "a" })).toEqual({
    authorization: "Bearer tyto_key",
    body: { to: "a" },
  });
  await server.stop(true);
  await expect(callApi(api, "GET", "/")).rejects.toThrow("nothing answers");
});
