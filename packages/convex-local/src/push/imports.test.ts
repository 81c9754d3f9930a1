import { expect, test } from "bun:test";
import { refuseNodeImports } from "./imports.ts";

const check = (source: string, environment: "isolate" | "node" = "isolate") =>
  refuseNodeImports([{ component: "", path: "a.js", environment, source, sourceMap: null, sha256: "" }]);

test.each([
  'import { readFileSync } from "node:fs"; export const x = readFileSync;',
  'import * as net from "net"; export const x = net;',
  'export { Database } from "bun:sqlite";',
  'import { file } from "bun"; export const x = file;',
])("a module that is not for Node may not have %s", (source) => {
  expect(() => check(source)).toThrow('"use node"');
  expect(() => check(source, "node")).not.toThrow();
});

test.each([
  'import { AsyncLocalStorage } from "node:async_hooks"; export const x = AsyncLocalStorage;',
  'import { x } from "./_deps/fs.js"; export { x };',
  'export const x = async () => (await import("node:crypto")).webcrypto;',
])("it may have %s", (source) => {
  expect(() => check(source)).not.toThrow();
});
