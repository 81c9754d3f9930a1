import { expect, test } from "bun:test";
import { join } from "node:path";
import { root } from "./places.ts";

const entry = await Bun.file(join(root, "tyto")).text();

test("the entry script asks for the version of Bun that the types are of", async () => {
  const { devDependencies } = await Bun.file(join(root, "package.json")).json();
  expect(entry).toContain(`bun_version=${devDependencies["bun-types"]}\n`);
});

test("the entry script is plain sh and hands over arguments and exit code", async () => {
  expect(entry).toStartWith("#!/bin/sh\n");
  const child = Bun.spawn([join(root, "tyto"), "no-such-command"], { stdout: "pipe", stderr: "pipe" });
  expect(await child.exited).toBe(1);
  expect(await new Response(child.stderr).text()).toContain('there is no command "no-such-command"');
});
