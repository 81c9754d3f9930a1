import { expect, test } from "bun:test";
import { places } from "@tyto/service";
import { until } from "../../../test/parts/until.ts";
import { batchBodyBytesMax, bounded, boundedForStrangers, newApi } from "./api.ts";
import { failureOf, problemResponse } from "./problems.ts";

/** A route that holds each body until `finish`; `turns` are what may be handled at a time. */
function holding(turns = places(Number.MAX_SAFE_INTEGER)) {
  const api = newApi();
  const held: (() => void)[] = [];
  api.onError((error) => problemResponse(failureOf(error)));
  api.post("/", bounded(batchBodyBytesMax, turns), async (c) => {
    await new Promise<void>((resolve) => void held.push(resolve));
    return c.text("taken");
  });
  const send = (bytes: number) =>
    Promise.resolve(api.request("/", { method: "POST", headers: { "content-length": String(bytes) } }));
  return { send, held, finish: () => held.shift()?.() };
}

test("what does not fit beside the bodies in flight is refused with the time to come again", async () => {
  const { send, held, finish } = holding();
  const first = send(50_000_000);
  await until("it is in hand", () => held.length === 1);
  const refused = await send(20_000_000);
  expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
  expect(await refused.json()).toMatchObject({
    code: "storage.full",
    detail: expect.stringContaining("again in a second"),
  });
  finish();
  expect((await first).status).toBe(200);
  const next = send(20_000_000);
  await until("there is room again", () => held.length === 1);
  finish();
  expect(await (await next).text()).toBe("taken");
});

test("a body larger than its route takes is refused for good", async () => {
  const { send } = holding();
  expect((await send(batchBodyBytesMax + 1)).status).toBe(413);
});

test("mail is handled in turns, as many bytes as may be at a time; a larger one goes alone", async () => {
  const { send, held, finish } = holding(places(10_000));
  const answers = [send(6_000), send(6_000), send(30_000), send(100)];
  for (let left = answers.length; left > 0; left--) {
    await until("the next one is handled", () => held.length > 0);
    expect(held).toHaveLength(1);
    finish();
  }
  expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
});

/** A route for everybody whose handler answers with the body; `msMax` as the door has it. */
function open(msMax?: number) {
  const api = newApi();
  api.onError((error) => problemResponse(failureOf(error)));
  api.post("/", boundedForStrangers(100, msMax), async (c) => c.text(await c.req.text()));
  api.post("/mail", bounded(batchBodyBytesMax), (c) => c.text("taken"));
  const send = (body: BodyInit, headers: Record<string, string> = {}) =>
    Promise.resolve(api.request("/", { method: "POST", body, headers }));
  return { api, send };
}

test("a stranger's body is handed on whole when it is small, and refused when it is not", async () => {
  const { send } = open();
  expect(await (await send("x".repeat(100))).text()).toBe("x".repeat(100));
  expect((await send("x".repeat(101))).status).toBe(413);
  expect((await send("x", { "content-length": "101" })).status).toBe(413);
});

test("what strangers announce and do not send takes nobody's room, and is not waited for long", async () => {
  const { api, send } = open(50);
  const never = () => new ReadableStream({ start: (body) => body.enqueue(new TextEncoder().encode("{")) });
  const slow = Array.from({ length: 200 }, () => send(never(), { "content-length": "100" }));
  const mail = await api.request("/mail", { method: "POST", headers: { "content-length": "50000000" } });
  expect(mail.status).toBe(200);
  expect((await send("quick")).status).toBe(200);
  expect(new Set((await Promise.all(slow)).map(({ status }) => status))).toEqual(new Set([400]));
});
