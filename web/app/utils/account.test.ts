import { expect, test } from "bun:test";
import { SetupRequest } from "@tyto/contracts";
import { type Account, accountProblems } from "./account.ts";

const account: Account = { name: "Ann", email: "ann@example.com", password: "correct horse battery" };

test.each([
  [{}, []],
  [{ name: " " }, ["name"]],
  [{ email: "ann" }, ["email"]],
  [{ password: "short" }, ["password"]],
  [{ password: "x".repeat(129) }, ["password"]],
] satisfies [Partial<Account>, string[]][])("with %j the wrong fields are %j", (change, fields) => {
  const changed = { ...account, ...change };
  expect(accountProblems(changed).map((problem) => String(problem.name))).toEqual(fields);
  expect(SetupRequest.safeParse({ ...changed, name: changed.name.trim() }).success).toBe(fields.length === 0);
});
