import { Database } from "bun:sqlite";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConvexHttpClient } from "convex/browser";
import { makeFunctionReference } from "convex/server";
import { deployFixture } from "../../fixtures/deploy.ts";
import { type ConvexLocal, startConvexLocal } from "../index.ts";
import { openArchive, writeArchive } from "./archive.ts";
import type { Format } from "./formats.ts";
import { readFrames } from "./frames.ts";

let directory = "";
let source: ConvexLocal;
const running: ConvexLocal[] = [];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "convex-transfer-"));
  source = await start();
});
afterAll(async () => {
  for (const convex of running) await convex.stop();
  rmSync(directory, { recursive: true, force: true });
});

async function start(dataDir?: string): Promise<ConvexLocal> {
  const convex = await startConvexLocal({ dataDir });
  running.push(convex);
  await deployFixture(convex);
  return convex;
}

const query = (name: string) => makeFunctionReference<"query">(name);
const mutation = (name: string) => makeFunctionReference<"mutation">(name);
const action = (name: string) => makeFunctionReference<"action">(name);

function adminOf(convex: ConvexLocal) {
  const client = new ConvexHttpClient(convex.url) as ConvexHttpClient & { setAdminAuth(key: string): void };
  client.setAdminAuth(convex.adminKey);
  return client;
}

const call = (convex: ConvexLocal, method: string, path: string, body?: BodyInit) =>
  fetch(`${convex.url}${path}`, {
    method,
    ...(body === undefined ? {} : { body }),
    headers: { authorization: `Convex ${convex.adminKey}` },
  });

type State = {
  state: string;
  message_to_confirm?: string;
  num_rows_written?: bigint;
  error_message?: string;
};

/** Waits for a state of an export or import that does not pass by itself. */
async function stable(read: () => Promise<State>): Promise<State> {
  for (;;) {
    const found = await read();
    if (!["requested", "in_progress", "uploaded"].includes(found.state)) return found;
    await Bun.sleep(5);
  }
}

async function exportOf(convex: ConvexLocal, name: string, withFiles = true): Promise<string> {
  const path = join(directory, name);
  const requested = await call(convex, "POST", `/api/export/request/zip?includeStorage=${withFiles}`);
  expect(requested.status).toBe(200);
  const client = adminOf(convex);
  const latest = await stable(() => client.query(query("_system/cli/exports:getLatest")));
  expect(latest.state).toBe("completed");
  const { start_ts } = latest as unknown as { start_ts: bigint };
  const answer = await call(convex, "GET", `/api/export/zip/${start_ts}`);
  expect(answer.headers.get("content-disposition")).toStartWith("attachment; filename=snapshot_");
  await Bun.write(path, answer);
  return path;
}

type Options = { mode?: string; table?: string; partBytes?: number };

/** Uploads and writes as the CLI does; gives the last state. */
async function importInto(
  convex: ConvexLocal,
  content: Uint8Array | string,
  format: Format,
  { mode = "requireEmpty", table, partBytes = 700 }: Options = {},
): Promise<State> {
  const bytes = Buffer.from(content);
  const { uploadToken } = (await (await call(convex, "POST", "/api/import/start_upload")).json()) as {
    uploadToken: string;
  };
  const partTokens: unknown[] = [];
  for (let at = 0; at < bytes.byteLength || at === 0; at += partBytes) {
    const path = `/api/import/upload_part?uploadToken=${uploadToken}&partNumber=${partTokens.length + 1}`;
    partTokens.push(await (await call(convex, "POST", path, bytes.subarray(at, at + partBytes))).json());
  }
  const request = { import: { tableName: table, mode, format }, uploadToken, partTokens };
  const finished = await call(convex, "POST", "/api/import/finish_upload", JSON.stringify(request));
  if (finished.status !== 200) return { state: "refused", error_message: await finished.text() };
  const { importId } = (await finished.json()) as { importId: string };
  const client = adminOf(convex);
  const read = async () =>
    ((await client.query(query("_system/cli/queryImport"), { importId })) as { state: State }).state;
  const looked = await stable(read);
  if (looked.state !== "waiting_for_confirmation") return looked;
  await call(convex, "POST", "/api/perform_import", JSON.stringify({ importId }));
  return await stable(read);
}

const messagesOf = (convex: ConvexLocal) => adminOf(convex).query(query("messages:list"), {});

async function bytesOf(convex: ConvexLocal, id: string) {
  const url = (await adminOf(convex).query(query("files:url"), { id })) as string;
  const answer = await fetch(url);
  return { type: answer.headers.get("content-type"), text: await answer.text(), name: url.split("/").at(-1) };
}

/** Too large for a row of the database. */
const largeText = "large ".repeat(20_000);

test("an export loads into an empty deployment with the same ids, times, values, references and files", async () => {
  const client = adminOf(source);
  const first: string = await client.mutation(mutation("messages:send"), {
    author: "é€\u{1f600}",
    body: "one",
  });
  await client.mutation(mutation("messages:send"), { author: "b", body: "two\nlines", likes: 0.5 });
  await client.mutation(mutation("messages:increment"), { name: "counter" });
  const files: string[] = [];
  for (const text of ["the bytes of a file", largeText])
    files.push(await client.action(action("files:store"), { text }));
  const path = await exportOf(source, "all.zip");

  // The target has numbered its tables in another order.
  const target = await start();
  const written = await importInto(target, await Bun.file(path).bytes(), "zip");
  expect(written).toEqual({ state: "completed", num_rows_written: 5n });
  expect(await messagesOf(target)).toEqual(await messagesOf(source));
  expect(await adminOf(target).mutation(mutation("messages:increment"), { name: "counter" })).toBe(2n);
  await adminOf(target).mutation(mutation("messages:like"), { id: first });
  for (const id of files) {
    expect(await bytesOf(target, id)).toEqual(await bytesOf(source, id));
    expect(await adminOf(target).query(query("files:metadata"), { id })).toEqual(
      await client.query(query("files:metadata"), { id }),
    );
  }
});

test("an export has the layout that the official backend reads and writes", async () => {
  const archive = await openArchive(await exportOf(source, "layout.zip"));
  const textOf = async (name: string) => Buffer.concat(await Array.fromAsync(archive.read(name))).toString();
  expect(archive.names).toEqual(
    expect.arrayContaining([
      "README.md",
      "_tables/documents.jsonl",
      "messages/documents.jsonl",
      "messages/generated_schema.jsonl",
      "counters/documents.jsonl",
      "_storage/documents.jsonl",
    ]),
  );
  expect(await textOf("messages/generated_schema.jsonl")).toBe('"uniform"\n');
  const tables = (await textOf("_tables/documents.jsonl")).trim().split("\n");
  expect(tables.map((line) => Object.keys(JSON.parse(line)))).toEqual(tables.map(() => ["name", "id"]));
  expect(await textOf("counters/documents.jsonl")).toMatch(/"value":\d+\}\n$/);
  const [file = "{}"] = (await textOf("_storage/documents.jsonl")).split("\n");
  const { _id, size, sha256, contentType } = JSON.parse(file);
  expect({ size, contentType }).toEqual({ size: 19, contentType: "text/plain;charset=utf-8" });
  const bytes = await textOf(`_storage/${_id}.txt`);
  expect(new Bun.CryptoHasher("sha256").update(bytes).digest("base64")).toBe(sha256);
  archive.close();
  const slim = await openArchive(await exportOf(source, "slim.zip", false));
  expect(slim.names.some((name) => name.startsWith("_storage"))).toBe(false);
  slim.close();
});

test("components are exported under their names, and loaded into their places", async () => {
  const directory = join(import.meta.dir, "../../fixtures/components/convex");
  const startApp = async () => {
    const convex = await startConvexLocal({ env: { SECRET: "s3cret" } });
    running.push(convex);
    await deployFixture(convex, directory, ["../counter", "../journal"]);
    return convex;
  };
  const from = await startApp();
  const to = await startApp();
  await adminOf(from).mutation(mutation("app:increment"), { which: "left", by: 2 });
  await adminOf(from).mutation(mutation("app:increment"), { which: "right", by: 10 });
  const path = await exportOf(from, "components.zip");
  const archive = await openArchive(path);
  expect(archive.names).toEqual(
    expect.arrayContaining([
      "_components/left/_tables/documents.jsonl",
      "_components/left/_components/journal/_tables/documents.jsonl",
    ]),
  );
  archive.close();
  // A cron of the app has written there already.
  const state = await importInto(to, await Bun.file(path).bytes(), "zip", { mode: "replaceAll" });
  expect(state).toMatchObject({ state: "completed" });
  expect(await adminOf(to).query(query("app:count"), { which: "left" })).toBe(2);
  expect(await adminOf(to).query(query("app:count"), { which: "right" })).toBe(10);
  expect(await adminOf(to).query(query("app:journal"), {})).toEqual(
    await adminOf(from).query(query("app:journal"), {}),
  );
});

test("JSON lines, a JSON array and CSV fill a table; an occupied one only if that is wanted", async () => {
  const target = await start();
  const line = (author: string) => JSON.stringify({ author, body: "x", likes: 3 });
  const table = "messages";
  expect(await importInto(target, `${line("a")}\n${line("b")}\n`, "jsonLines", { table })).toMatchObject({
    state: "completed",
    num_rows_written: 2n,
  });
  expect(await importInto(target, line("c"), "jsonLines", { table })).toMatchObject({
    state: "failed",
    error_message: expect.stringContaining("already exists"),
  });
  const array = `[${line("c")}]`;
  expect((await importInto(target, array, "jsonArray", { table, mode: "append" })).state).toBe("completed");
  expect((await messagesOf(target)).map(({ author }: { author: string }) => author)).toEqual(["a", "b", "c"]);
  const csv = '\ufeffauthor,body,likes\nd,"with, comma",5\ne,"with ""quotes"" and\nlines",\n';
  expect((await importInto(target, csv, "csv", { table, mode: "replace" })).state).toBe("completed");
  expect(await messagesOf(target)).toMatchObject([
    { author: "d", body: "with, comma", likes: 5 },
    { author: "e", body: 'with "quotes" and\nlines' },
  ]);
});

test("replaceAll leaves nothing that the import does not have", async () => {
  const target = await start();
  const path = await exportOf(target, "empty.zip");
  await adminOf(target).mutation(mutation("messages:send"), { author: "a", body: "x" });
  await adminOf(target).action(action("files:store"), { text: "gone" });
  const written = await importInto(target, await Bun.file(path).bytes(), "zip", { mode: "replaceAll" });
  expect(written.state).toBe("completed");
  expect(await messagesOf(target)).toEqual([]);
});

const refused: [string, string, Format, string][] = [
  ["a line that is no JSON", '{"author":"a","body":"x"}\n{"author":', "jsonLines", "Row 2 is not valid JSON"],
  ["a line that is no object", "5\n", "jsonLines", "Row 1 is not an object"],
  [
    "a document that breaks the schema",
    '{"author":"a","body":"x"}\n{"author":5,"body":"x"}',
    "jsonLines",
    "Row 2",
  ],
  ["an id that is none", '{"_id":"x","author":"a","body":"x"}', "jsonLines", "not an ID of table"],
  ["a reserved field", '{"_x":1,"author":"a","body":"x"}', "jsonLines", "_x"],
  ["JSON that is no array", "{}", "jsonArray", "not a JSON array"],
  ["a CSV row without all fields", "author,body\na\n", "csv", "Row 1"],
  ["bytes that are no ZIP", "PK nonsense", "zip", "ZIP"],
];
test.each(refused)(
  "%s is refused, and nothing of the file is there",
  async (_name, content, format, reason) => {
    const target = await start();
    const state = await importInto(target, content, format, format === "zip" ? {} : { table: "messages" });
    expect(state).toMatchObject({ state: "failed", error_message: expect.stringContaining(reason) });
    expect(await messagesOf(target)).toEqual([]);
  },
);

test("an id that is there twice refuses the whole import", async () => {
  const [message] = (await messagesOf(source)) as { _id: string }[];
  const row = JSON.stringify({ _id: message?._id, author: "a", body: "x" });
  const target = await start();
  const state = await importInto(target, `${row}\n${row}`, "jsonLines", { table: "messages" });
  expect(state.error_message).toContain("_id already");
  expect(await messagesOf(target)).toEqual([]);
});

test("a file whose bytes are not those of its line is refused, and leaves no bytes behind", async () => {
  const path = await exportOf(source, "whole.zip");
  const archive = await openArchive(path);
  const damaged = join(directory, "damaged.zip");
  await writeArchive(
    damaged,
    archive.names.map((name) => ({
      name,
      content: () => (name.endsWith(".txt") ? textOf("other bytes") : archive.read(name)),
    })),
    new Date(0),
  );
  archive.close();
  const target = await start();
  const state = await importInto(target, await Bun.file(damaged).bytes(), "zip", { partBytes: 1_000_000 });
  expect(state.error_message).toContain("SHA-256");
  expect(await messagesOf(target)).toEqual([]);
});
async function* textOf(text: string) {
  yield text;
}

test("an export of a deployment on disk is of one moment, while mutations go on", async () => {
  const convex = await start(join(directory, "disk"));
  const client = adminOf(convex);
  const send = async () => {
    for (let i = 0; i < 100; i++) await client.mutation(mutation("messages:increment"), { name: "busy" });
  };
  const [path] = await Promise.all([exportOf(convex, "busy.zip"), send()]);
  const target = await start();
  expect((await importInto(target, await Bun.file(path).bytes(), "zip")).state).toBe("completed");
  await client.mutation(mutation("messages:increment"), { name: "after" });
});

test("a backup stream has the database with small files in it, and every large one beside it", async () => {
  const answer = await call(source, "GET", "/api/tyto/backup");
  const names: string[] = [];
  for await (const { name, content } of readFrames(answer.body as never)) {
    names.push(name.replace(/[0-9a-f-]{36}/, "UUID"));
    const bytes = Buffer.concat(await Array.fromAsync(content));
    if (name.startsWith("storage/")) expect(bytes.toString()).toBe(largeText);
    else expect(contentsIn(bytes)).toEqual(["the bytes of a file"]);
  }
  expect(names).toEqual(["convex.sqlite3", "storage/UUID"]);
});

function contentsIn(copy: Uint8Array): string[] {
  const path = join(directory, "copy.sqlite3");
  writeFileSync(path, copy);
  const database = new Database(path, { readonly: true });
  const rows = database.query<{ content: Uint8Array }, []>("SELECT content FROM file_contents").all();
  database.close();
  return rows.map(({ content }) => Buffer.from(content).toString());
}

test("all of this needs the admin key", async () => {
  for (const [method, path] of [
    ["POST", "/api/export/request/zip"],
    ["GET", "/api/export/zip/1"],
    ["POST", "/api/import/start_upload"],
    ["POST", "/api/import/upload_part?uploadToken=x"],
    ["POST", "/api/import/finish_upload"],
    ["POST", "/api/perform_import"],
    ["GET", "/api/tyto/backup"],
  ] as const) {
    expect((await fetch(source.url + path, { method })).status).toBe(401);
  }
});
