import { Database } from "bun:sqlite";
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConvexHttpClient } from "convex/browser";
import { makeFunctionReference } from "convex/server";
import { deployFixture } from "../../fixtures/deploy.ts";
import { startConvexLocal } from "../index.ts";
import { databasePath, openDatabase } from "./database.ts";

const directories: string[] = [];
afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});
const newDirectory = () => {
  const directory = mkdtempSync(join(tmpdir(), "convex-upgrade-"));
  directories.push(directory);
  return directory;
};

test("a file from before components keeps its code, schema and jobs", async () => {
  const dataDir = newDirectory();
  const before = await startConvexLocal({ dataDir });
  await deployFixture(before);
  const reminder = makeFunctionReference<"mutation">("messages:send");
  await new ConvexHttpClient(before.url, { logger: false }).mutation(reminder, {
    author: "old",
    body: "kept",
  });
  await before.stop();

  const raw = new Database(databasePath(dataDir));
  const { value } = raw.query("SELECT value FROM meta WHERE key = 'definitions'").get() as { value: string };
  const { "": app } = JSON.parse(value) as { "": { schema: unknown; serverVersion: string } };
  raw.run("DELETE FROM meta WHERE key = 'definitions'");
  raw.run("INSERT INTO meta (key, value) VALUES ('schema', ?), ('serverVersion', ?)", [
    JSON.stringify(app.schema),
    app.serverVersion,
  ]);
  raw.run("ALTER TABLE jobs DROP COLUMN target");
  raw.run("DROP TABLE companions");
  raw.run(
    "INSERT INTO jobs (id, component, path, args, due_ms, state) VALUES ('j', '', 'messages:send', '{}', 9e15, 'pending')",
  );
  raw.run("PRAGMA user_version = 1");
  raw.close();

  const { raw: upgraded } = openDatabase(dataDir, "FULL");
  expect(upgraded.query("SELECT target, path FROM jobs WHERE id = 'j'").get()).toEqual({
    target: "",
    path: "messages:send",
  });
  upgraded.run("DELETE FROM jobs");
  upgraded.close();

  const after = await startConvexLocal({ dataDir });
  const client = new ConvexHttpClient(after.url, { logger: false });
  const list = makeFunctionReference<"query">("messages:list");
  expect(await client.query(list, { author: "old" })).toMatchObject([{ body: "kept" }]);
  await expect(client.mutation(reminder, { author: 5, body: "no text" })).rejects.toThrow();
  await after.stop();
}, 120_000);

test("a file of a newer program is refused", () => {
  const dataDir = newDirectory();
  openDatabase(dataDir, "FULL").raw.close();
  const raw = new Database(databasePath(dataDir));
  raw.run("PRAGMA user_version = 99");
  raw.close();
  expect(() => openDatabase(dataDir, "FULL")).toThrow("layout 99");
});
