import { expect, test } from "bun:test";
import { lines } from "./lines.ts";

async function split(...chunks: (string | Uint8Array)[]): Promise<string[]> {
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks)
        controller.enqueue(typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk);
      controller.close();
    },
  });
  const found: string[] = [];
  for await (const line of lines(stream)) found.push(line);
  return found;
}

test("lines are whole however the bytes arrive, letters of several bytes included", async () => {
  const bytes = new TextEncoder().encode("grün\r\nblau\n");
  expect(await split(bytes.slice(0, 3), bytes.slice(3))).toEqual(["grün", "blau"]);
  expect(await split("a", "b\n", "\nlast")).toEqual(["ab", "", "last"]);
});

test("a line without end is handed on in pieces and not kept in memory", async () => {
  const chunk = "x".repeat(50_000);
  const found = await split(chunk, chunk, chunk);
  expect(found.map((line) => line.length)).toEqual([100_000, 50_000]);
});
