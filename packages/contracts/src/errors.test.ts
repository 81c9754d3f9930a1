import { expect, test } from "bun:test";
import { errors, Failure, toFailure, toProblem } from "./errors.ts";

test.each(Object.entries(errors))("%s says the same thing about trying again in every form", (_code, row) => {
  const [basic, enhanced] = row.smtp;
  const transientHttp = row.http === 429 || row.http === 500 || row.http === 503;
  expect(Math.floor(basic / 100) === 4).toBe(row.retry);
  expect(enhanced.startsWith("4.")).toBe(row.retry);
  expect(transientHttp).toBe(row.retry);
});

test("an unknown error is internal and keeps its cause", () => {
  const cause = new TypeError("x is undefined");
  const failure = toFailure(cause);
  expect(failure.code).toBe("internal");
  expect(failure.cause).toBe(cause);
});

test("a problem shows the hint and never the private detail", () => {
  const problem = toProblem(
    new Failure("request.invalid", "secret path /etc", { hint: "Give a subject" }),
    "req-1",
  );
  expect(JSON.stringify(problem)).not.toContain("/etc");
  expect(problem).toMatchObject({ status: 400, detail: "Give a subject", instance: "req-1" });
});
