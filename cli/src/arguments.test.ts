import { expect, test } from "bun:test";
import { parseArguments } from "./arguments.ts";
import { commands } from "./commands.ts";
import { Trouble } from "./trouble.ts";

const options = { to: { type: "string", multiple: true }, data: { type: "string" } } as const;
const parse = (...argv: string[]) =>
  parseArguments(argv, options, "tyto send --to ADDRESS", { needs: [], most: 1 });

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

test("what is missing is named", () => {
  const needs = ["the action", "the DOMAIN"];
  const missing = (...argv: string[]) =>
    troubleOf(() => parseArguments(argv, {}, "tyto it", { needs, most: 2 })).message;
  expect(missing()).toBe("the action and the DOMAIN are missing");
  expect(missing("show")).toBe("the DOMAIN is missing");
});

test.each([
  ["site", [], "the DOMAIN or SITE is missing"],
  ["trace", [], "the MESSAGE_ID is missing"],
  ["trace", ["--live"], "the DOMAIN is missing"],
  ["restore", [], "the FILE of the backup is missing"],
  ["domain", [], "the action (list, add, show, check, rotate) is missing"],
  ["domain", ["show"], "the DOMAIN is missing"],
  ["dlq", [], "the action (list, show, retry) is missing"],
  ["dlq", ["retry"], "the NUMBER of a dead letter is missing"],
  ["mail", ["parse"], "a FILE is missing"],
  ["bounce", [], "the action (classify, reply) and a FILE or a reply are missing"],
  ["send", ["--from", "ann@example.com"], "--to is missing"],
  ["send", [], "--from and --to are missing"],
])("tyto %s %p says that %s", async (name, argv, message) => {
  const command = (await commands.find((one) => one.name === name)?.load())?.command;
  await expect(command?.run(argv)).rejects.toThrow(message);
});

test("every command has a usage that begins with its name", async () => {
  for (const { name, load } of commands) expect((await load()).command.usage).toStartWith(`tyto ${name}`);
});
