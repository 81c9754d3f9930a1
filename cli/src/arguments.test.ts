import { expect, test } from "bun:test";
import { parseArguments } from "./arguments.ts";
import { commands } from "./commands.ts";
import { Trouble } from "./trouble.ts";

const options = { to: { type: "string", multiple: true }, data: { type: "string" } } as const;
const parse = (...argv: string[]) =>
  parseArguments(argv, options, "tyto send --to ADDRESS", { least: 0, most: 1 });

const troubleOf = (work: () => unknown): Trouble => {
  try {
    work();
  } catch (error) {
    if (error instanceof Trouble) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
};

test("options and positionals are read in any order", () => {
  const { values, positionals } = parse("--to", "a@x.test", "one", "--to=b@x.test", "--data", "d");
  expect(values).toMatchObject({ to: ["a@x.test", "b@x.test"], data: "d" });
  expect(positionals).toEqual(["one"]);
});

test.each([
  [["--too", "a"], "--too"],
  [["--data"], "--data"],
  [["one", "two"], '"two" is one argument too many'],
] as const)("a wrong command line is named and the usage shown: %p", (argv, named) => {
  const trouble = troubleOf(() => parse(...argv));
  expect(trouble.message).toContain(named);
  expect(trouble.hint).toBe("tyto send --to ADDRESS");
});

test("every command has a usage that begins with its name", async () => {
  for (const { name, load } of commands) expect((await load()).command.usage).toStartWith(`tyto ${name}`);
});
