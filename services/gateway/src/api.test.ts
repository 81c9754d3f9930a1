import { expect, test } from "bun:test";
import { places } from "@tyto/service";
import { until } from "../../../test/parts/until.ts";
import { batchBodyBytesMax, bounded, newApi } from "./api.ts";
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
