import { expect, test } from "bun:test";
import { foreignGlobals } from "./globals.ts";

const cases: [string, string, string[]][] = [
  ["a global of Bun", 'export const f = () => Bun.file("x");', ["Bun"]],
  ["more than the environment of the process", "process.env.A; process.cwd();", ["process"]],
  ["the environment of the process", "export const a = process.env.A ?? process.env['B'];", []],
  ["a text and a comment", 'const x = "Bun.file and Buffer"; // Bun', []],
  ["a variable of that name", "export function f(Buffer) { return Buffer.from; }", []],
  ["a member of that name", "export const f = (x) => x.require(x.Buffer);", []],
  ["a name that was asked about first", 'if (typeof Buffer !== "undefined") Buffer.from("x");', []],
  [
    "several",
    "setImmediate(() => require('fs')); export const d = __dirname;",
    ["require", "__dirname", "setImmediate"],
  ],
  ["web APIs", "fetch(new URL('x:')); setTimeout(() => crypto.randomUUID(), 1); new TextEncoder();", []],
];
test.each(cases)("%s", (_name, source, expected) => {
  expect(foreignGlobals(source)).toEqual(expected);
});
