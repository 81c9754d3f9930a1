import { beforeAll, expect, test } from "bun:test";
import { installSandbox } from "../functions/sandbox.ts";
import { loadBundle, removeBundle } from "./bundle.ts";

beforeAll(installSandbox);

test("bundles that are loaded at once see their own variables only", async () => {
  const source = `const before = process.env.WHO;
await new Promise((resolve) => queueMicrotask(resolve));
export const seen = [before, process.env.WHO, process.env.PATH];`;
  const bundles = await Promise.all(
    ["a", "b", "c"].map((WHO) => loadBundle(null, [{ path: "m.js", source }], { WHO })),
  );
  expect(bundles.map(({ modules }) => modules.get("m")?.seen)).toEqual([
    ["a", "a", undefined],
    ["b", "b", undefined],
    ["c", "c", undefined],
  ]);
  for (const { directory } of bundles) removeBundle(directory);
});

test("a bundle that fails to load does not stop the next", async () => {
  const load = (source: string) => loadBundle(null, [{ path: "m.js", source }], {});
  const [bad, good] = await Promise.allSettled([
    load("throw new Error('broken');"),
    load("export const x = 1;"),
  ]);
  expect(bad).toMatchObject({ status: "rejected", reason: { message: expect.stringContaining("broken") } });
  expect(good.status).toBe("fulfilled");
  if (good.status === "fulfilled") removeBundle(good.value.directory);
});

test.each(["../m.js", "a/../../m.js", "/m.js", "m.ts", "a//m.js", ""])(
  "%j is no path of a module",
  async (path) => {
    await expect(loadBundle(null, [{ path, source: "" }], {})).rejects.toThrow("is not a module path");
  },
);
