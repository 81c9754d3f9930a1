import { afterAll, beforeAll, expect, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { ADMIN_KEY, type ServerProcess, startProcess } from "../../fixtures/process.ts";

const root = resolve(import.meta.dir, "../../../..");
let directory = "";
let app = "";
let server: ServerProcess;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "convex-cli-"));
  app = join(directory, "app");
  cpSync(resolve(import.meta.dir, "../../fixtures/app"), app, { recursive: true });
  symlinkSync(join(root, "node_modules"), join(app, "node_modules"));
  // A PATH with Bun and nothing else: no Node is needed.
  mkdirSync(join(directory, "bin"));
  symlinkSync(process.execPath, join(directory, "bin", "bun"));
  server = await startProcess(join(directory, "data"));
});
afterAll(async () => {
  await server.kill("SIGTERM");
  rmSync(directory, { recursive: true, force: true });
});

/** Runs the official CLI; gives what it printed and how it ended. */
async function convex(...args: string[]) {
  const child = Bun.spawn(
    [process.execPath, "--bun", join(root, "node_modules/convex/bin/main.js"), ...args],
    {
      cwd: app,
      env: {
        PATH: join(directory, "bin"),
        HOME: directory,
        CI: "1",
        CONVEX_SELF_HOSTED_URL: server.url,
        CONVEX_SELF_HOSTED_ADMIN_KEY: ADMIN_KEY,
      },
      stdout: "pipe",
      stderr: "pipe",
    },
  );
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { stdout: stdout.trim(), stderr, code };
}
const succeed = async (...args: string[]) => {
  const result = await convex(...args);
  if (result.code !== 0)
    throw new Error(`convex ${args.join(" ")} ended with ${result.code}: ${result.stderr}`);
  return result.stdout;
};

test("codegen writes typed bindings", async () => {
  await succeed("codegen", "--typecheck", "disable");
  expect(readFileSync(join(app, "convex/_generated/api.d.ts"), "utf8")).toContain(
    "messages: typeof messages",
  );
}, 60_000);

test("deploy puts functions in place, run calls them, and a restart keeps them", async () => {
  await succeed("deploy", "--typecheck", "disable");
  const id = JSON.parse(await succeed("run", "messages:send", '{"author":"cli","body":"hello"}')) as string;
  expect(JSON.parse(await succeed("run", "messages:secret"))).toBe("internal");
  expect(await server.kill("SIGTERM")).toBe(0);
  server = await startProcess(join(directory, "data"));
  expect(JSON.parse(await succeed("run", "messages:list", '{"author":"cli"}'))).toMatchObject([{ _id: id }]);
  expect(await succeed("data")).toContain("messages");
  expect(await succeed("data", "messages")).toContain(id);
}, 60_000);

test("env sets, lists, gets and removes variables that functions see", async () => {
  await succeed("env", "set", "COLOUR", "blue");
  expect(await succeed("env", "list")).toBe("COLOUR=blue");
  expect(await succeed("env", "get", "COLOUR")).toBe("blue");
  expect(JSON.parse(await succeed("run", "messages:environment", '{"name":"COLOUR"}'))).toBe("blue");
  await succeed("env", "remove", "COLOUR");
  expect(await succeed("env", "list")).not.toContain("COLOUR");
}, 60_000);

test("a schema that the documents break is refused, and the old code stays", async () => {
  const file = join(app, "convex/schema.ts");
  const before = readFileSync(file, "utf8");
  writeFileSync(file, before.replace("body: v.string(),", "body: v.string(),\n    subject: v.string(),"));
  const refused = await convex("deploy", "--typecheck", "disable");
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toContain("missing the required field `subject`");
  writeFileSync(file, before);
  expect(JSON.parse(await succeed("run", "messages:list", '{"author":"cli"}'))).toHaveLength(1);
}, 60_000);

test("code that throws while it loads is refused with its reason, and the old code stays", async () => {
  const file = join(app, "convex/broken.ts");
  writeFileSync(file, 'export const x = 1;\nthrow new Error("broken on purpose");\n');
  const refused = await convex("dev", "--once", "--typecheck", "disable");
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toContain("broken on purpose");
  rmSync(file);
  expect(JSON.parse(await succeed("run", "messages:list", '{"author":"cli"}'))).toHaveLength(1);
}, 60_000);

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
}, 60_000);
