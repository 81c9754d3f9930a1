import { expect, test } from "bun:test";
import { type DefinitionSource, evaluateDefinitions } from "./evaluation.ts";

const evaluate = (...sources: DefinitionSource[]) => evaluateDefinitions(null, sources, {});
const source = (path: string, code: string, dependencies: string[] = []): DefinitionSource => ({
  path,
  source: code,
  dependencies,
});
const importOf = (path: string) =>
  `import child from "./_componentDeps/${Buffer.from(path).toString("base64url")}";`;
const plain = (name: string) =>
  `export default { export: () => ({ definitionType: { type: "childComponent", name: "${name}" }, childComponents: [], httpMounts: {} }) };`;

test("a definition learns the path and the name of those that it uses, however long their paths are", async () => {
  const long = `../${"very/".repeat(60)}deep`;
  const app = `${importOf(long)}
export default { export: () => ({
  definitionType: { type: "app" },
  childComponents: [{ name: child.defaultName, path: child.componentDefinitionPath }],
  httpMounts: {},
}) };`;
  const definitions = await evaluate(source("", app, [long]), source(long, plain("deep")));
  expect(definitions.get("")?.childComponents).toEqual([{ name: "deep", path: long }]);
});

test.each([
  ["one that throws", [source("", 'throw new Error("broken");')], "Failed to analyze convex.config.js"],
  [
    "one without a definition",
    [source("", "export default 5;")],
    "must have defineApp() or defineComponent()",
  ],
  [
    "one whose export throws",
    [source("", 'export default { export() { throw new Error("cannot"); } };')],
    "convex.config.ts: cannot",
  ],
  [
    "one that gives something else",
    [source("", "export default { export: () => 5 };")],
    "convex.config.ts: ",
  ],
  ["one that uses what was not sent", [source("", "", ["../x"])], "component ../x was not sent"],
  [
    "two that use each other",
    [source("", plain("x"), ["../a"]), source("../a", "", ["../b"]), source("../b", "", ["../a"])],
    "in a circle",
  ],
])("%s is refused", async (_name, sources, reason) => {
  await expect(evaluate(...sources)).rejects.toThrow(reason);
});
