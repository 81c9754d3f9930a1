import { expect, test } from "bun:test";
import { join } from "node:path";
import { rounds } from "../../../test/parts/rounds.ts";
import { runOperations, schema } from "../fixtures/differential.ts";
import { convexTest } from "./testing.ts";

const program = join(import.meta.dir, "../fixtures/differential.ts");
const COUNT = 400;

async function onConvexTest(seed: number): Promise<string[]> {
  const child = Bun.spawn([process.execPath, program, String(seed), String(COUNT)], { stderr: "inherit" });
  return JSON.parse(await new Response(child.stdout).text()) as string[];
}

test.each(rounds([11], [11, 12, 13]))(
  "random operations give what convex-test gives (seed %d)",
  async (seed) => {
    const [theirs, ours] = await Promise.all([
      onConvexTest(seed),
      runOperations(convexTest({ schema, modules: {} }), seed, COUNT),
    ]);
    for (const [index, result] of ours.entries()) expect(result).toBe(theirs[index] ?? "nothing");
    expect(ours).toHaveLength(COUNT);
  },
);
