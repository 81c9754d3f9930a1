/** Every command of the official CLI that a self-hosted deployment is for, unmodified. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Cli, startCli } from "../../fixtures/cli.ts";

let cli: Cli;
const place = (name: string) => join(cli.directory, name);

beforeAll(async () => {
  cli = await startCli();
  await cli.succeed("deploy", "--typecheck", "disable", "--codegen", "disable");
}, 300_000);
afterAll(() => cli.stop());

const list = async (author: string) =>
  JSON.parse(await cli.succeed("run", "messages:list", JSON.stringify({ author }))) as Record<
    string,
    unknown
  >[];

test("run calls internal functions too, as the user that is wished, and says what went wrong", async () => {
  expect(JSON.parse(await cli.succeed("run", "api.messages.secret"))).toBe("internal");
  const identity = '{"subject":"ada","issuer":"https://x.test","tokenIdentifier":"x|ada","name":"Ada"}';
  expect(JSON.parse(await cli.succeed("run", "--identity", identity, "messages:whoami"))).toEqual({
    issuer: "https://x.test",
    name: "Ada",
    subject: "ada",
    tokenIdentifier: "x|ada",
  });
  const unknown = await cli.run("run", "messages:nothing");
  expect(unknown).toMatchObject({ code: 1, stderr: expect.stringContaining("Available functions") });
  const wrong = await cli.run("run", "messages:send", '{"author":5}');
  expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining("ArgumentValidationError") });
}, 300_000);

test("run evaluates inline queries, which can only read", async () => {
  await cli.succeed("run", "messages:send", '{"author":"inline","body":"x"}');
  const count = '(await ctx.db.query("messages").collect()).length';
  expect(Number(await cli.succeed("run", "--inline-query", count))).toBeGreaterThan(0);
  const several = 'const all = await ctx.db.query("messages").take(1);\nreturn all.length;';
  expect(await cli.succeed("run", "--inline-query", several)).toBe("1");
  const write = await cli.run("run", "--inline-query", 'await ctx.db.insert("messages", {})');
  expect(write).toMatchObject({ code: 1, stderr: expect.stringContaining("Query failed") });
  const component = await cli.run("run", "--component", "nowhere", "--inline-query", "1");
  expect(component).toMatchObject({ code: 1, stderr: expect.stringContaining("was not found") });
}, 300_000);

test("run --watch goes on with every change, and run --push brings the code along", async () => {
  const watching = cli.follow("run", "--watch", "messages:list", '{"author":"watch"}');
  await watching.until("[]");
  await cli.succeed("run", "messages:send", '{"author":"watch","body":"seen at once"}');
  await watching.until("seen at once");
  await watching.stop();
  writeFileSync(
    join(cli.app, "convex/pushed.ts"),
    'import { query } from "./functions.ts";\nexport const six = query({ args: {}, handler: async () => 6 });\n',
  );
  const pushed = await cli.succeed("run", "--push", "--typecheck", "disable", "pushed:six");
  expect(pushed.split("\n").at(-1)).toBe("6");
}, 300_000);

test("env sets from arguments, standard input and files, and keeps what is not named", async () => {
  await cli.succeed("env", "set", "ONE", "1");
  expect((await cli.runWith("two lines\nof text", "env", "set", "TWO")).code).toBe(0);
  writeFileSync(place("more.env"), 'THREE=3\nFOUR="with spaces"\n');
  await cli.succeed("env", "set", "--from-file", place("more.env"));
  expect(await cli.succeed("env", "get", "TWO")).toBe("two lines\nof text");
  expect(await cli.succeed("env", "get", "FOUR")).toBe("with spaces");
  const conflict = await cli.run("env", "set", "--from-file", place("more.env"));
  expect(conflict.code).toBe(0);
  await cli.succeed("env", "remove", "ONE");
  const all = await cli.succeed("env", "list");
  expect(all).toContain("THREE=3");
  expect(all).not.toContain("ONE=1");
  expect(await cli.run("env", "get", "ONE")).toMatchObject({
    stdout: "",
    stderr: expect.stringContaining("not found"),
  });
  expect((await cli.run("env", "set", "not-a-name", "x")).code).toBe(1);
  // Defaults belong to projects of the cloud, and a deployment of one's own has none.
  expect((await cli.run("env", "default", "list")).code).toBe(1);
}, 300_000);

test("data lists tables and documents, in the order and number that is wished", async () => {
  for (const body of ["first", "second", "third"])
    await cli.succeed("run", "messages:send", JSON.stringify({ author: "data", body }));
  expect((await cli.succeed("data")).split("\n")).toEqual(expect.arrayContaining(["counters", "messages"]));
  const newest = await cli.succeed("data", "messages", "--limit", "1", "--format", "jsonLines");
  expect(newest).toContain("third");
  expect(newest).not.toContain("second");
  const oldest = await cli.succeed("data", "messages", "--limit", "1", "--order", "asc");
  expect(oldest).not.toContain("third");
  expect((await cli.run("data", "no_such_table")).stdout).toBe("");
}, 300_000);

test("logs show what has run, and go on", async () => {
  await cli.succeed("run", "messages:later", '{"body":"x","ms":86400000}');
  const following = cli.follow("logs", "--history", "50", "--success");
  await following.until("messages:later");
  await cli.run("run", "messages:wrongReturn");
  await following.until("ReturnsValidationError");
  await following.stop();
  const lines = cli.follow("logs", "--history", "1000", "--jsonl");
  await lines.until('"identifier":"messages:later"');
  await lines.stop();
}, 300_000);

test("function-spec describes every function and route", async () => {
  const spec = JSON.parse(await cli.succeed("function-spec")) as {
    url: string;
    functions: { identifier?: string; functionType: string; args?: object; path?: string }[];
  };
  expect(spec.url).toBe(cli.server().url);
  expect(spec.functions).toContainEqual(
    expect.objectContaining({ identifier: "messages.js:send", functionType: "Mutation" }),
  );
  expect(spec.functions).toContainEqual(
    expect.objectContaining({ functionType: "HttpAction", path: "/echo", method: "POST" }),
  );
}, 300_000);

test("import takes JSON lines, JSON arrays and CSV, and asks for what it does to a table", async () => {
  writeFileSync(place("rows.jsonl"), '{"author":"jsonl","body":"1"}\n{"author":"jsonl","body":"2"}\n');
  writeFileSync(place("rows.json"), '\ufeff[{"author":"json","body":"1"}]');
  writeFileSync(place("rows.csv"), "author,body,likes\ncsv,text,5\n");
  const occupied = await cli.run("import", "--table", "messages", place("rows.jsonl"));
  expect(occupied).toMatchObject({ code: 1, stderr: expect.stringContaining("already exists") });
  for (const name of ["rows.jsonl", "rows.json", "rows.csv"])
    await cli.succeed("import", "--append", "--table", "messages", place(name));
  expect(await list("jsonl")).toMatchObject([{ body: "1" }, { body: "2" }]);
  expect(await list("json")).toHaveLength(1);
  expect(await list("csv")).toMatchObject([{ body: "text", likes: 5 }]);
  writeFileSync(place("broken.jsonl"), '{"author":"broken"}\n');
  const broken = await cli.run("import", "--append", "--table", "messages", place("broken.jsonl"));
  expect(broken).toMatchObject({ code: 1, stderr: expect.stringContaining("missing the required field") });
  await cli.succeed("import", "--replace", "--yes", "--table", "messages", place("rows.json"));
  expect(await list("jsonl")).toEqual([]);
  expect(await list("json")).toHaveLength(1);
}, 300_000);

test("export writes what import loads: documents, ids and files, over a restart", async () => {
  const id = JSON.parse(await cli.succeed("run", "files:store", '{"text":"kept bytes"}')) as string;
  const before = await list("json");
  mkdirSync(place("exports"));
  await cli.succeed("export", "--include-file-storage", "--path", place("exports"));
  const [name = ""] = readdirSync(place("exports"));
  expect(name).toEndWith(".zip");
  const again = await cli.run("export", "--path", join(place("exports"), name));
  expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining("already exists") });

  await cli.succeed("run", "files:remove", JSON.stringify({ id }));
  await cli.succeed("run", "messages:send", '{"author":"after","body":"x"}');
  await cli.succeed("import", "--replace-all", "--yes", join(place("exports"), name));
  expect(await list("json")).toEqual(before);
  expect(await list("after")).toEqual([]);
  expect(await cli.restartServer("SIGKILL")).not.toBe(0);
  expect(await list("json")).toEqual(before);
  expect(JSON.parse(await cli.succeed("run", "files:read", JSON.stringify({ id })))).toBe("kept bytes");
}, 300_000);

test("deploy --dry-run says what it would do and does nothing; codegen needs nothing but the server", async () => {
  writeFileSync(
    join(cli.app, "convex/dry.ts"),
    'import { query } from "./functions.ts";\nexport const run = query({ args: {}, handler: async () => 1 });\n',
  );
  await cli.succeed("deploy", "--dry-run", "--typecheck", "disable", "--codegen", "disable");
  expect((await cli.run("run", "dry:run")).code).toBe(1);
  await cli.succeed("codegen", "--typecheck", "disable");
  expect(existsSync(join(cli.app, "convex/_generated/api.d.ts"))).toBe(true);
  await cli.succeed("dev", "--once", "--typecheck", "disable");
  expect(await cli.succeed("run", "dry:run")).toBe("1");
}, 300_000);
