import { expect, test } from "bun:test";
import { overlaid } from "./pages.ts";

test("a path into the app leads to its files and to what was written of its pages, any other to one place", () => {
  expect(
    overlaid({
      compilerOptions: {
        strict: true,
        paths: {
          "~/*": ["../app/*"],
          "#app": ["../../node_modules/nuxt/dist/app"],
          "#build": ["./types"],
          "#here": ["."],
        },
      },
      include: ["./nuxt.d.ts", "../app/**/*"],
      exclude: ["../dist"],
    }),
  ).toEqual({
    compilerOptions: {
      strict: true,
      paths: {
        "~/*": ["../../app/*", "./app/*"],
        "#app": ["../../../node_modules/nuxt/dist/app"],
        "#build": ["../types"],
        "#here": ["../."],
      },
      rootDirs: ["../..", "."],
    },
    include: ["../nuxt.d.ts", "../../app/**/*", "./**/*"],
    exclude: ["../../dist"],
  });
});
