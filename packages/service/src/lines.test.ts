import { expect, test } from "bun:test";
import { createLines } from "./lines.ts";

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("lines of one turn leave together and in order, and nothing is written twice", async () => {
  const written: string[] = [];
  const lines = createLines((text) => written.push(text));
  lines.write("a\n");
  lines.write("b\n");
  expect(written).toEqual([]);
  await turn();
  lines.write("c\n");
  lines.flush();
  lines.flush();
  await turn();
  expect(written).toEqual(["a\nb\n", "c\n"]);
});

test("a turn that never ends does not hold more than its bound", () => {
  let chars = 0;
  const lines = createLines((text) => {
    chars += text.length;
  });
  for (let i = 0; i < 1_000; i++) lines.write(`${"x".repeat(99)}\n`);
  expect(chars).toBeGreaterThan(100_000 - 32_900);
});

test.each(["process.exit(3)", "throw new Error('end')", "log.error('last')"])(
  "a program that ends by %s has written all of its log",
  async (end) => {
    const script = `
      import { createLog } from "${import.meta.dir}/log.ts";
      const log = createLog("test");
      for (let i = 0; i < 2000; i++) log.info("line", { i });
      ${end};`;
    const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "ignore" });
    const output = await new Response(child.stdout).text();
    expect(output.match(/"event":"line"/g)).toHaveLength(2_000);
    if (end.startsWith("log")) expect(output).toContain('"event":"last"');
  },
);
