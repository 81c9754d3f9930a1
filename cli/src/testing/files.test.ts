import { expect, test } from "bun:test";
import { mkdir, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findTests } from "./files.ts";

async function checkout(...paths: string[]): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), "tyto-tests-"));
  for (const path of paths) {
    await mkdir(join(root, path, ".."), { recursive: true });
    await Bun.write(join(root, path), "");
  }
  return root;
}

test("slow tests are told apart, and installed packages bring none", async () => {
  const root = await checkout(
    ...[
      "packages/a/src/x.test.ts",
      "services/mta/src/y.slow.test.ts",
      "web/node_modules/z/z.test.ts",
      "cli/src/main.ts",
    ],
  );
  expect(await findTests(root, [], root)).toEqual({
    unit: ["packages/a/src/x.test.ts"],
    slow: ["services/mta/src/y.slow.test.ts"],
  });
});

test("paths narrow the run, seen from where the person stands", async () => {
  const root = await checkout("packages/a/one.test.ts", "packages/ab/two.test.ts", "test/three.test.ts");
  expect((await findTests(root, ["packages/a"], root)).unit).toEqual(["packages/a/one.test.ts"]);
  expect((await findTests(root, ["a/one.test.ts"], join(root, "packages"))).unit).toEqual([
    "packages/a/one.test.ts",
  ]);
  expect((await findTests(root, ["."], root)).unit.length).toBe(3);
});

test("a path without tests is an error, not a green run", async () => {
  const root = await checkout("packages/a/one.test.ts");
  await expect(findTests(root, ["packages/b"], root)).rejects.toThrow("no test lies at packages/b");
});
