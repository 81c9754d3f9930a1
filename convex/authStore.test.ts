import { expect, test } from "bun:test";
import type { FunctionArgs } from "convex/server";
import { ConvexError } from "convex/values";
import { api } from "./_generated/api";
import { asGateway, noon, startConvex } from "./samples.testing.ts";

type Where = NonNullable<FunctionArgs<typeof api.authStore.findMany>["where"]>;

const person = (name: string, more: Record<string, string | number | boolean | null> = {}) => ({
  name,
  email: `${name.toLowerCase()}@example.com`,
  emailVerified: false,
  createdAt: noon,
  updatedAt: noon,
  ...more,
});

async function seeded() {
  const gateway = asGateway(startConvex());
  for (const [index, name] of ["Ada", "Bob", "Cleo"].entries())
    await gateway.mutation(api.authStore.create, {
      model: "user",
      data: person(name, { createdAt: noon + index, disabled: name === "Bob" }),
    });
  const names = async (where: Where) =>
    (await gateway.query(api.authStore.findMany, { model: "user", where })).map(({ name }) => name);
  return { gateway, names };
}

test("a row is created with an id, found by it, changed and removed", async () => {
  const { gateway } = await seeded();
  const created = await gateway.mutation(api.authStore.create, { model: "user", data: person("Dan") });
  const where: Where = [{ field: "id", value: created.id ?? null }];
  expect(await gateway.query(api.authStore.findOne, { model: "user", where })).toEqual(created);
  const update = { name: "Daniel", updatedAt: noon + 5 };
  expect(await gateway.mutation(api.authStore.update, { model: "user", where, update })).toEqual({
    ...created,
    ...update,
  });
  await gateway.mutation(api.authStore.remove, { model: "user", where });
  expect(await gateway.query(api.authStore.findOne, { model: "user", where })).toBeNull();
  expect(await gateway.mutation(api.authStore.update, { model: "user", where, update })).toBeNull();
  expect(await gateway.query(api.authStore.count, { model: "user" })).toBe(3);
});

const conditions: [string, Where, string[]][] = [
  ["nothing", [], ["Ada", "Bob", "Cleo"]],
  ["equality through an index", [{ field: "email", value: "bob@example.com" }], ["Bob"]],
  ["equality in any case", [{ field: "name", value: "ADA", mode: "insensitive" }], ["Ada"]],
  ["an id that is none", [{ field: "id", value: "nonsense" }], []],
  ["ne", [{ field: "name", operator: "ne", value: "Ada" }], ["Bob", "Cleo"]],
  ["gt", [{ field: "createdAt", operator: "gt", value: noon }], ["Bob", "Cleo"]],
  [
    "gte and lt",
    [
      { field: "createdAt", operator: "gte", value: noon + 1 },
      { field: "createdAt", operator: "lt", value: noon + 2 },
    ],
    ["Bob"],
  ],
  ["lte", [{ field: "createdAt", operator: "lte", value: noon }], ["Ada"]],
  ["in", [{ field: "name", operator: "in", value: ["Ada", "Cleo", "Zoe"] }], ["Ada", "Cleo"]],
  ["not_in", [{ field: "name", operator: "not_in", value: ["Ada", "Cleo"] }], ["Bob"]],
  ["contains", [{ field: "email", operator: "contains", value: "e" }], ["Ada", "Bob", "Cleo"]],
  ["starts_with", [{ field: "name", operator: "starts_with", value: "C" }], ["Cleo"]],
  ["ends_with", [{ field: "name", operator: "ends_with", value: "a" }], ["Ada"]],
  ["a field never set is null", [{ field: "image", value: null }], ["Ada", "Bob", "Cleo"]],
  [
    "OR",
    [
      { field: "name", value: "Ada", connector: "OR" },
      { field: "email", value: "cleo@example.com", connector: "OR" },
    ],
    ["Ada", "Cleo"],
  ],
  [
    "AND beside OR",
    [
      { field: "disabled", value: true },
      { field: "name", value: "Ada", connector: "OR" },
      { field: "name", value: "Bob", connector: "OR" },
    ],
    ["Bob"],
  ],
  ["a number is never compared with a string", [{ field: "name", operator: "gt", value: 1 }], []],
];
test("conditions find what better-auth asks for", async () => {
  const { names } = await seeded();
  for (const [name, where, expected] of conditions)
    expect([name, await names(where)]).toEqual([name, expected]);
});

test("rows are sorted, skipped and limited", async () => {
  const { gateway } = await seeded();
  const found = await gateway.query(api.authStore.findMany, {
    model: "user",
    sortBy: { field: "createdAt", direction: "desc" },
    offset: 1,
    limit: 1,
  });
  expect(found.map(({ name }) => name)).toEqual(["Bob"]);
});

test("many rows are changed or removed at once and counted", async () => {
  const { gateway, names } = await seeded();
  const where: Where = [{ field: "createdAt", operator: "gt", value: noon }];
  const update = { emailVerified: true };
  expect(await gateway.mutation(api.authStore.updateMany, { model: "user", where, update })).toBe(2);
  expect(await names([{ field: "emailVerified", value: true }])).toEqual(["Bob", "Cleo"]);
  expect(await gateway.mutation(api.authStore.removeMany, { model: "user", where })).toBe(2);
  expect(await names([])).toEqual(["Ada"]);
});

test("a session is found by its token, and those of a person together", async () => {
  const { gateway } = await seeded();
  for (const [token, userId] of [
    ["t1", "u1"],
    ["t2", "u1"],
    ["t3", "u2"],
  ] as const)
    await gateway.mutation(api.authStore.create, {
      model: "session",
      data: { token, userId, expiresAt: noon, createdAt: noon, updatedAt: noon },
    });
  const one = await gateway.query(api.authStore.findOne, {
    model: "session",
    where: [{ field: "token", value: "t2" }],
  });
  expect(one?.userId).toBe("u1");
  const removed = await gateway.mutation(api.authStore.removeMany, {
    model: "session",
    where: [{ field: "userId", value: "u1" }],
  });
  expect(removed).toBe(2);
});

test("a field that the table lacks and an id of the caller's own are refused", async () => {
  const { gateway } = await seeded();
  const bad = gateway.mutation(api.authStore.create, { model: "user", data: person("Eve", { admin: true }) });
  expect(bad).rejects.toThrow("schema");
  await bad.catch(() => {}); // Only to wait for it: the line above has looked at it.
  const own = await gateway
    .mutation(api.authStore.create, { model: "user", data: person("Eve", { id: "1" }) })
    .catch((error: unknown) => error);
  expect(own).toBeInstanceOf(ConvexError);
});
