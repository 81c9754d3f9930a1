import { expect, test } from "bun:test";
import { makeFunctionReference } from "convex/server";
import { ConvexError } from "convex/values";
import schema from "../fixtures/app/convex/schema.ts";
import { convexTest } from "./testing.ts";

const directory = `${import.meta.dir}/../fixtures/app/convex`;
const modules = Object.fromEntries(
  [...new Bun.Glob("**/*.ts").scanSync(directory)].map((file) => [
    `./${file}`,
    () => import(`${directory}/${file}`),
  ]),
);
const query = (name: string) => makeFunctionReference<"query">(name);
const mutation = (name: string) => makeFunctionReference<"mutation">(name);
const action = (name: string) => makeFunctionReference<"action">(name);

test("a document that a mutation inserts is found by a query", async () => {
  const t = convexTest(schema, modules);
  const id = await t.mutation(mutation("messages:send"), { author: "ada", body: "hello" });
  const [found, ...others] = await t.query(query("messages:list"), { author: "ada" });
  expect(others).toEqual([]);
  expect(found).toMatchObject({ _id: id, author: "ada", body: "hello" });
  expect(await t.query(query("messages:list"), { author: "bob" })).toEqual([]);
});

test("an index range is read in order and honours both bounds", async () => {
  const t = convexTest(schema, modules);
  for (const likes of [5, 1, 4, 2, 3]) {
    await t.mutation(mutation("messages:send"), { author: "ada", body: String(likes), likes });
  }
  const found = await t.query(query("messages:liked"), { author: "ada", from: 2, to: 5 });
  expect(found.map((message: { likes: number }) => message.likes)).toEqual([4, 3, 2]);
});

test("a filter is applied before a limit that follows it", async () => {
  const t = convexTest(schema, modules);
  for (let likes = 0; likes < 100; likes++) {
    await t.mutation(mutation("messages:send"), { author: "ada", body: "x", likes });
  }
  const found = await t.query(query("messages:filtered"), { least: 90, count: 3 });
  expect(found.map((message: { likes: number }) => message.likes)).toEqual([90, 91, 92]);
});

test("pages follow one another to the end without loss or repetition", async () => {
  const t = convexTest(schema, modules);
  for (let i = 0; i < 25; i++)
    await t.mutation(mutation("messages:send"), { author: "ada", body: String(i) });
  const bodies: string[] = [];
  let cursor: string | null = null;
  let pages = 0;
  for (let isDone = false; !isDone; pages++) {
    const page: { page: { body: string }[]; continueCursor: string; isDone: boolean } = await t.query(
      query("messages:page"),
      { paginationOpts: { numItems: 10, cursor } },
    );
    bodies.push(...page.page.map((message: { body: string }) => message.body));
    cursor = page.continueCursor;
    isDone = page.isDone;
  }
  expect(bodies).toEqual(Array.from({ length: 25 }, (_, i) => String(24 - i)));
  expect(pages).toBe(3);
});

test("arguments that break the validator are refused by name", async () => {
  const t = convexTest(schema, modules);
  await expect(t.mutation(mutation("messages:send"), { author: "ada" })).rejects.toThrow(
    "missing the required field `body`",
  );
  await expect(t.mutation(mutation("messages:send"), { author: "ada", body: "x", more: 1 })).rejects.toThrow(
    "extra field `more`",
  );
  await expect(t.mutation(mutation("messages:like"), { id: "nonsense" })).rejects.toThrow(
    'Validator: v.id("messages")',
  );
  await expect(t.query(query("messages:wrongReturn"))).rejects.toThrow("does not match validator");
});

test("a document that breaks the schema is refused and nothing is written", async () => {
  const t = convexTest(schema, modules);
  const insert = t.run(async (ctx) => {
    await ctx.db.insert("messages", { author: "ada", body: "kept?" });
    await ctx.db.insert("messages", { author: 5, body: "x" } as never);
  });
  await expect(insert).rejects.toThrow('table "messages" because it does not match the schema');
  await insert.catch(() => {});
  expect(await t.query(query("messages:list"))).toEqual([]);
});

test("a nested mutation that throws leaves nothing behind and the outer one goes on", async () => {
  const t = convexTest(schema, modules);
  expect(await t.mutation(mutation("messages:tryAndGoOn"))).toBe("inner failure");
  const found = await t.query(query("messages:list"));
  expect(found.map((message: { body: string }) => message.body)).toEqual(["before", "during"]);
});

test("a ConvexError reaches the caller with its data", async () => {
  const t = convexTest(schema, modules);
  const id = await t.mutation(mutation("messages:send"), { author: "ada", body: "x" });
  await t.mutation(mutation("messages:remove"), { id });
  const error: unknown = await t
    .mutation(mutation("messages:like"), { id })
    .catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ConvexError);
  expect((error as ConvexError<{ code: string }>).data).toEqual({ code: "gone", id } as never);
});

test("int64 values survive storage, indexes and results", async () => {
  const t = convexTest(schema, modules);
  expect(await t.mutation(mutation("messages:increment"), { name: "a" })).toBe(1n);
  expect(await t.mutation(mutation("messages:increment"), { name: "a" })).toBe(2n);
});

test("an action calls mutations and stores files", async () => {
  const t = convexTest(schema, modules);
  const id = await t.action(action("messages:viaAction"), { body: "from an action" });
  expect(await t.run((ctx) => ctx.db.get(id))).toMatchObject({ author: "action" });
  const file = await t.action(action("files:store"), { text: "hello" });
  expect(await t.action(action("files:read"), { id: file })).toBe("hello");
  expect(await t.query(query("files:metadata"), { id: file })).toMatchObject({
    size: 5,
    contentType: expect.stringContaining("text/plain"),
    sha256: "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=",
  });
  await t.mutation(mutation("files:remove"), { id: file });
  expect(await t.action(action("files:read"), { id: file })).toBeNull();
});

test("scheduled functions run once, at their time, and can be canceled", async () => {
  const t = convexTest(schema, modules);
  await t.mutation(mutation("messages:later"), { body: "now", ms: 0 });
  await t.mutation(mutation("messages:later"), { body: "in an hour", ms: 3600_000 });
  const canceled = await t.mutation(mutation("messages:later"), { body: "never", ms: 1000 });
  await t.mutation(mutation("messages:cancel"), { id: canceled });
  await t.finishInProgressScheduledFunctions();
  const bodies = async () =>
    (await t.query(query("messages:list"))).map((message: { body: string }) => message.body);
  expect(await bodies()).toEqual(["now"]);
  await t.finishAllScheduledFunctions();
  expect(await bodies()).toEqual(["now", "in an hour"]);
  const states = (await t.query(query("messages:jobs"))).map(
    (job: { state: { kind: string } }) => job.state.kind,
  );
  expect(states).toEqual(["success", "success", "canceled"]);
});

test("functions see their identity, their environment and nothing else of the process", async () => {
  const t = convexTest(schema, modules, { env: { COLOUR: "blue" } });
  expect(await t.query(query("messages:whoami"))).toBeNull();
  const ada = t.withIdentity({ subject: "ada", role: "admin" });
  expect(await ada.query(query("messages:whoami"))).toMatchObject({ subject: "ada", role: "admin" });
  expect(await t.query(query("messages:environment"), { name: "COLOUR" })).toBe("blue");
  expect(await t.query(query("messages:environment"), { name: "PATH" })).toBeNull();
  expect(process.env.PATH).toBeString();
});

test("queries have a frozen clock and no way out", async () => {
  const t = convexTest(schema, modules);
  expect(await t.query(query("messages:nondeterminism"))).toEqual([true, true, true]);
  await expect(t.query(query("messages:fetchInQuery"))).rejects.toThrow("Can't use fetch()");
});

test("HTTP actions are routed by path and prefix", async () => {
  const t = convexTest(schema, modules);
  const echo = await t.withIdentity({ subject: "ada" }).fetch("/echo", { method: "POST", body: "hi" });
  expect(await echo.json()).toEqual({ body: "hi", subject: "ada" });
  expect((await t.fetch("/send/word")).status).toBe(201);
  expect((await t.fetch("/nowhere")).status).toBe(404);
  await expect(t.fetch("/fail")).rejects.toThrow("on purpose");
});
