import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Cli, startCli } from "../../fixtures/cli.ts";

let cli: Cli;
let app = "";

beforeAll(async () => {
  cli = await startCli();
  app = cli.app;
});
afterAll(() => cli.stop());

const convex = (...args: string[]) => cli.run(...args);
const succeed = (...args: string[]) => cli.succeed(...args);

test("codegen writes typed bindings", async () => {
  await succeed("codegen", "--typecheck", "disable");
  expect(readFileSync(join(app, "convex/_generated/api.d.ts"), "utf8")).toContain(
    "messages: typeof messages",
  );
}, 300_000);

test("deploy puts functions in place, run calls them, and a restart keeps them", async () => {
  await succeed("deploy", "--typecheck", "disable");
  const id = JSON.parse(await succeed("run", "messages:send", '{"author":"cli","body":"hello"}')) as string;
  expect(JSON.parse(await succeed("run", "messages:secret"))).toBe("internal");
  expect(await cli.restartServer("SIGTERM")).toBe(0);
  expect(JSON.parse(await succeed("run", "messages:list", '{"author":"cli"}'))).toMatchObject([{ _id: id }]);
  expect(await succeed("data")).toContain("messages");
  expect(await succeed("data", "messages")).toContain(id);
}, 300_000);

test("env sets, lists, gets and removes variables that functions see", async () => {
  await succeed("env", "set", "COLOUR", "blue");
  expect(await succeed("env", "list")).toBe("COLOUR=blue");
  expect(await succeed("env", "get", "COLOUR")).toBe("blue");
  expect(JSON.parse(await succeed("run", "messages:environment", '{"name":"COLOUR"}'))).toBe("blue");
  await succeed("env", "remove", "COLOUR");
  expect(await succeed("env", "list")).not.toContain("COLOUR");
}, 300_000);

test("a schema that the documents break is refused, and the old code stays", async () => {
  const file = join(app, "convex/schema.ts");
  const before = readFileSync(file, "utf8");
  writeFileSync(file, before.replace("body: v.string(),", "body: v.string(),\n    subject: v.string(),"));
  const refused = await convex("deploy", "--typecheck", "disable");
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toContain("missing the required field `subject`");
  writeFileSync(file, before);
  expect(JSON.parse(await succeed("run", "messages:list", '{"author":"cli"}'))).toHaveLength(1);
}, 300_000);

test("code that throws while it loads is refused with its reason, and the old code stays", async () => {
  const file = join(app, "convex/broken.ts");
  writeFileSync(file, 'export const x = 1;\nthrow new Error("broken on purpose");\n');
  const refused = await convex("dev", "--once", "--typecheck", "disable");
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toContain("broken on purpose");
  rmSync(file);
  expect(JSON.parse(await succeed("run", "messages:list", '{"author":"cli"}'))).toHaveLength(1);
}, 300_000);

test("dev --once pushes changed modules only, and a removed function is gone", async () => {
  const file = join(app, "convex/extra.ts");
  writeFileSync(
    file,
    'import { query } from "./functions.ts";\nexport const five = query({ args: {}, handler: async () => 5 });\n',
  );
  await succeed("dev", "--once", "--typecheck", "disable");
  expect(JSON.parse(await succeed("run", "extra:five"))).toBe(5);
  rmSync(file);
  await succeed("dev", "--once", "--typecheck", "disable");
  const missing = await convex("run", "extra:five");
  expect(missing.code).not.toBe(0);
  expect(missing.stderr).toContain("Could not find function");
}, 300_000);
