import { expect, test } from "bun:test";
import { join } from "node:path";
import { root } from "./places.ts";
import { run } from "./run.ts";

test("what is generated is what its sources say: nats.conf, openapi.json, convex/_generated", async () => {
  const { code, stdout } = await run([process.execPath, join(root, "cli/src/codegen.ts"), "--check"], {
    cwd: root,
  });
  expect({ code, wrong: stdout.split("\n").filter((line) => line.includes("is not what")) }).toEqual({
    code: 0,
    wrong: [],
  });
}, 120_000);
