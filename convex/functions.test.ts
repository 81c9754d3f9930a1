import { expect, test } from "bun:test";
import type { FunctionReference } from "convex/server";
import { makeFunctionReference } from "convex/server";
import { ConvexError, convexToJson, type Value } from "convex/values";
import { issuers } from "./model/issuers.ts";
import { asUser, startConvex, type TestDeployment } from "./samples.testing.ts";

type ValidatorJson = { type: string; value?: unknown; [key: string]: unknown };
type PublicFunction = {
  name: string;
  kind: "query" | "mutation" | "action";
  audience: Audience;
  args: Value;
};
type Audience = "user" | "gateway" | "recorder";

const audienceOf = (name: string): Audience =>
  name.startsWith("service:") || name.startsWith("authStore:")
    ? "gateway"
    : name.startsWith("sync:")
      ? "recorder"
      : "user";

/** Every function that the outside may name, found in the modules themselves, with arguments that pass its validator. */
async function publicFunctions(): Promise<PublicFunction[]> {
  const found: PublicFunction[] = [];
  for (const file of new Bun.Glob("**/*.ts").scanSync(import.meta.dir)) {
    const path = file.replace(/\.ts$/, "");
    if (path.includes(".") || path.startsWith("_generated/")) continue;
    for (const [name, value] of Object.entries(await import(`${import.meta.dir}/${file}`))) {
      const marks = value as Record<string, unknown>;
      if (typeof value !== "function" || marks.isPublic !== true) continue;
      const kind = marks.isQuery ? "query" : marks.isMutation ? "mutation" : "action";
      const args = JSON.parse((marks.exportArgs as () => string)()) as ValidatorJson;
      const full = `${path}:${name}`;
      found.push({ name: full, kind, audience: audienceOf(full), args: example(args) });
    }
  }
  return found;
}

/** The plainest value that a validator accepts. */
function example(validator: ValidatorJson): Value {
  switch (validator.type) {
    case "object":
      return Object.fromEntries(
        Object.entries(validator.value as Record<string, { fieldType: ValidatorJson; optional: boolean }>)
          .filter(([, field]) => !field.optional)
          .map(([name, field]) => [name, example(field.fieldType)]),
      );
    case "union":
      return example((validator.value as ValidatorJson[])[0] ?? { type: "null" });
    case "literal":
      return validator.value as Value;
    case "string":
      return "0".repeat(64);
    case "number":
      return 1;
    case "boolean":
      return false;
    case "array":
      return [];
    case "record":
      return {};
    default:
      return null;
  }
}

const call = async (t: Pick<TestDeployment, "query" | "mutation">, { name, kind, args }: PublicFunction) => {
  const reference = makeFunctionReference(name) as FunctionReference<never>;
  const run = kind === "query" ? t.query : t.mutation;
  try {
    await (run as (reference: unknown, args: unknown) => Promise<unknown>)(reference, args);
    return "allowed";
  } catch (error) {
    const data: unknown = error instanceof ConvexError ? error.data : undefined;
    const code = typeof data === "object" && data !== null && "code" in data ? data.code : undefined;
    // Whatever else went wrong happened behind the door.
    return code === "request.unauthenticated" || code === "request.forbidden" ? code : "allowed";
  }
};

const functions = await publicFunctions();

test("the functions of the outside are found", () => {
  expect(functions.length).toBeGreaterThan(30);
  expect(functions.filter(({ kind }) => kind === "action")).toEqual([]);
  expect(() => functions.map(({ args }) => convexToJson(args))).not.toThrow();
});

const strangers: Record<string, { issuer: string; subject: string; role?: string } | null> = {
  nobody: null,
  "a token of another issuer with the role user": {
    issuer: "https://evil.example",
    subject: "USER",
    role: "user",
  },
  "a token of another issuer that calls itself gateway": {
    issuer: "https://evil.example",
    subject: "gateway",
    role: "service",
  },
  "a token of ours without a role": { issuer: issuers.gateway, subject: "USER" },
  "a token of ours with an unknown role": { issuer: issuers.gateway, subject: "USER", role: "admin" },
  "a user that does not exist": { issuer: issuers.gateway, subject: "nobody", role: "user" },
  "a service that does not exist": { issuer: issuers.gateway, subject: "mta", role: "service" },
  "a recorder that is signed by the gateway": {
    issuer: issuers.gateway,
    subject: "recorder",
    role: "service",
  },
  "a gateway that is signed by the recorder": {
    issuer: issuers.recorder,
    subject: "gateway",
    role: "service",
  },
  "a user that is signed by the recorder": { issuer: issuers.recorder, subject: "USER", role: "user" },
};

for (const [name, identity] of Object.entries(strangers))
  test(`${name} is refused by every public function`, async () => {
    const t = startConvex();
    await asUser(t);
    const id = await t.run(async (ctx) => (await ctx.db.query("users").first())?._id ?? "");
    const caller =
      identity === null
        ? t
        : t.withIdentity({ ...identity, subject: identity.subject === "USER" ? id : identity.subject });
    const expected = identity === null ? "request.unauthenticated" : "request.forbidden";
    for (const each of functions)
      expect([each.name, await call(caller, each)]).toEqual([each.name, expected]);
  });

test("a disabled person is refused by every public function", async () => {
  const disabled = await asUser(startConvex(), { disabled: true });
  for (const each of functions)
    expect([each.name, await call(disabled, each)]).toEqual([each.name, "request.forbidden"]);
});

test("each caller reaches its own functions and no others", async () => {
  const t = startConvex();
  const callers: Record<Audience, Pick<TestDeployment, "query" | "mutation">> = {
    user: await asUser(t),
    gateway: t.withIdentity({ issuer: issuers.gateway, subject: "gateway", role: "service" }),
    recorder: t.withIdentity({ issuer: issuers.recorder, subject: "recorder", role: "service" }),
  };
  for (const [audience, caller] of Object.entries(callers))
    for (const each of functions)
      expect([audience, each.name, await call(caller, each)]).toEqual([
        audience,
        each.name,
        each.audience === audience ? "allowed" : "request.forbidden",
      ]);
});

test("a person who is disabled later loses access at once", async () => {
  const t = startConvex();
  const user = await asUser(t);
  const list = functions.find(({ name }) => name === "domains:list");
  if (list === undefined) throw new Error("domains:list is gone");
  expect(await call(user, list)).toBe("allowed");
  await t.run(async (ctx) => {
    const row = await ctx.db.query("users").first();
    if (row !== null) await ctx.db.patch(row._id, { disabled: true });
  });
  expect(await call(user, list)).toBe("request.forbidden");
});

test("every public function declares its arguments and its result", async () => {
  for (const file of new Bun.Glob("*.ts").scanSync(import.meta.dir)) {
    if (file.replace(/\.ts$/, "").includes(".")) continue;
    for (const [name, value] of Object.entries(await import(`${import.meta.dir}/${file}`))) {
      const { isPublic, exportArgs, exportReturns } = value as Record<string, unknown>;
      if (isPublic !== true) continue;
      const args = JSON.parse((exportArgs as () => string)());
      expect([file, name, args.type, (exportReturns as () => string)()]).toEqual([
        file,
        name,
        "object",
        expect.not.stringMatching(/^"?null"?$/),
      ]);
    }
  }
});
