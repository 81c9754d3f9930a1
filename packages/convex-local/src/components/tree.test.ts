import { expect, test } from "bun:test";
import { Definition } from "./definition.ts";
import { mountOf } from "./mount.ts";
import { addressOf, handleOf } from "./reference.ts";
import { environmentProblem, environmentsOf, instancesOf, plantTree } from "./tree.ts";

type Child = { name: string; path: string; env?: [string, unknown][] };
const definition = (childComponents: Child[], rest: object = {}) =>
  Definition.parse({
    definitionType: { type: "childComponent", name: "x" },
    childComponents,
    httpMounts: {},
    ...rest,
  });
const string = JSON.stringify({ type: "string" });

test("the tree has one component for each place in which a definition stands", () => {
  const tree = plantTree(
    new Map([
      [
        "",
        definition([
          { name: "a", path: "A" },
          { name: "b", path: "A" },
        ]),
      ],
      ["A", definition([{ name: "deep", path: "B" }])],
      ["B", definition([])],
    ]),
  );
  expect(instancesOf(tree).map(({ path, definitionPath }) => [path, definitionPath])).toEqual([
    ["", ""],
    ["a", "A"],
    ["a/deep", "B"],
    ["b", "A"],
    ["b/deep", "B"],
  ]);
});

const wrong: [string, Map<string, Definition>, string][] = [
  ["a definition that was not sent", new Map([["", definition([{ name: "a", path: "A" }])]]), "was not sent"],
  [
    "a name that stands for two components",
    new Map([
      [
        "",
        definition([
          { name: "a", path: "A" },
          { name: "a", path: "A" },
        ]),
      ],
      ["A", definition([])],
    ]),
    "uses the name a for two components",
  ],
  [
    "components that use each other",
    new Map([
      ["", definition([{ name: "a", path: "A" }])],
      ["A", definition([{ name: "b", path: "B" }])],
      ["B", definition([{ name: "a", path: "A" }])],
    ]),
    "in a circle:  → A → B → A",
  ],
  [
    "a mount of something else",
    new Map([["", definition([], { httpMounts: { "/x/": "_reference/childComponent/a" } })]]),
    "which is none of its components",
  ],
  [
    "a variable that the component does not declare",
    new Map([
      ["", definition([{ name: "a", path: "A", env: [["X", { type: "value", value: "1" }]] }])],
      ["A", definition([])],
    ]),
    "is given X, which it does not declare",
  ],
  [
    "a variable that the parent does not declare",
    new Map([
      ["", definition([{ name: "a", path: "A", env: [["X", { type: "envVar", name: "Y" }]] }])],
      ["A", definition([], { envVars: [["X", { type: "value", value: string }]] })],
    ]),
    "is given Y of its parent",
  ],
  [
    "more components than there may be",
    new Map([
      ["", definition(Array.from({ length: 20 }, (_, index) => ({ name: `a${index}`, path: "A" })))],
      ["A", definition(Array.from({ length: 20 }, (_, index) => ({ name: `b${index}`, path: "B" })))],
      ["B", definition([])],
    ]),
    "more than 256 components",
  ],
];
test.each(wrong)("%s is refused", (_name, definitions, reason) => {
  expect(() => plantTree(definitions)).toThrow(reason);
});

test("arguments of older packages are values", () => {
  const tree = plantTree(
    new Map([
      [
        "",
        definition([
          { name: "a", path: "A", args: [["count", { type: "value", value: "5" }]] } as Child,
          { name: "b", path: "A" },
        ]),
      ],
      ["A", definition([])],
    ]),
  );
  expect(tree.children.map(({ args }) => args)).toEqual([{ count: 5 }, {}]);
});

test("variables go down the tree as they are bound, and a missing or wrong one is named", () => {
  const level = JSON.stringify({
    type: "union",
    value: [
      { type: "literal", value: "info" },
      { type: "literal", value: "error" },
    ],
  });
  const tree = plantTree(
    new Map([
      [
        "",
        definition([{ name: "a", path: "A", env: [["KEY", { type: "envVar", name: "TOP" }]] }], {
          envVars: [["TOP", { type: "value", value: string }]],
        }),
      ],
      [
        "A",
        definition(
          [
            {
              name: "b",
              path: "B",
              env: [
                ["INNER", { type: "envVar", name: "KEY" }],
                ["LEVEL", { type: "value", value: "loud" }],
              ],
            },
          ],
          { envVars: [["KEY", { type: "value", value: string }]] },
        ),
      ],
      [
        "B",
        definition([], {
          envVars: [
            ["INNER", { type: "value", value: string }],
            ["LEVEL", { type: "value", value: level }],
            ["MAYBE", { type: "value", value: string, optional: true }],
          ],
        }),
      ],
    ]),
  );
  const environments = environmentsOf(tree, { TOP: "1", OTHER: "2" });
  expect(environments.get("a")).toEqual({ KEY: "1" });
  expect(environments.get("a/b")).toEqual({ INNER: "1", LEVEL: "loud" });
  const [root, a, b] = instancesOf(tree);
  if (root === undefined || a === undefined || b === undefined) throw new Error("The tree is too small");
  expect(environmentProblem(root, {})).toContain("TOP is required by the app");
  expect(environmentProblem(a, { KEY: "1" })).toBeNull();
  expect(environmentProblem(b, { INNER: "1" })).toContain("LEVEL is required by component a/b");
  expect(environmentProblem(b, { INNER: "1", LEVEL: "loud" })).toContain(
    "LEVEL of component a/b is not what it declares",
  );
  expect(environmentProblem(b, { INNER: "1", LEVEL: "info" })).toBeNull();
});

test("a call names its function by path, handle or reference, seen from where it is made", () => {
  const installed = new Set(["", "a", "a/b"]);
  const from = (component: string, args: Record<string, string>) =>
    addressOf(component, args, (path) => installed.has(path));
  expect(from("a", { name: "x:y" })).toEqual({ component: "a", path: "x:y", access: "any" });
  expect(from("a", { reference: "_reference/function/x:y" })).toMatchObject({ component: "a", path: "x:y" });
  expect(from("", { reference: "_reference/childComponent/a/dir/x/y" })).toEqual({
    component: "a",
    path: "dir/x:y",
    access: "public",
  });
  expect(from("a", { reference: "_reference/childComponent/b/x/y" })).toMatchObject({ component: "a/b" });
  for (const component of installed) {
    const functionHandle = handleOf(component, "dir/x.js:y");
    expect(from("a/b", { functionHandle })).toEqual({ component, path: "dir/x:y", access: "any" });
  }
});

test.each([
  [{ reference: "_reference/childComponent/z/x/y" }, "Child component z not found"],
  [{ reference: "_reference/childComponent/a" }, "does not name a function"],
  [{ reference: "_reference/childComponent/a/x" }, "does not name a function"],
  [{ reference: "_reference/currentSystemUdfInComponent/1" }, "does not name a function"],
  [{ functionHandle: "function://z#x:y" }, 'component "z" of a function handle is not installed'],
  [{ functionHandle: "http://x#y" }, "is not a function handle"],
  [{ functionHandle: "function://a" }, "is not a function handle"],
  [{}, "does not name a function"],
])("%j is refused", (args, reason) => {
  expect(() => addressOf("", args, (path) => path === "" || path === "a")).toThrow(reason);
});

test("the longest mount answers, inside out, and the app's prefix is for its own routes", () => {
  const component = (path: string, rest: object = {}) =>
    [path, { path, schema: null, modules: new Map(), ...rest }] as const;
  const components = new Map([
    component("", {
      httpPrefix: "/app/",
      mounts: [
        { prefix: "/a/b/", component: "ab" },
        { prefix: "/a/", component: "a" },
      ],
    }),
    component("ab"),
    component("a", { mounts: [{ prefix: "/in/", component: "a/c" }] }),
    component("a/c"),
  ]);
  const found = (path: string) => {
    const mount = mountOf(components, path);
    return mount === undefined ? null : [mount.component.path, mount.path];
  };
  expect(found("/a/b/x")).toEqual(["ab", "/x"]);
  expect(found("/a/x")).toEqual(["a", "/x"]);
  expect(found("/a/in/y/z")).toEqual(["a/c", "/y/z"]);
  expect(found("/app/x")).toEqual(["", "/x"]);
  expect(found("/x")).toBeNull();
});
