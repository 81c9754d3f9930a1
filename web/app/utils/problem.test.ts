import { expect, test } from "bun:test";
import { Failure, toProblem } from "@tyto/contracts";
import { problemOf, RequestFailure, signInProblemOf, toRequestProblem } from "./problem.ts";

test("problem details of the contract are read back whole", () => {
  const failure = new Failure("request.invalid", "private", {
    hint: "Mend the fields",
    issues: [{ path: "to[0]", problem: "must look like name@example.com" }],
  });
  expect(toRequestProblem(400, JSON.stringify(toProblem(failure, "request-1")))).toEqual({
    status: 400,
    code: "request.invalid",
    title: "The request is not valid",
    detail: "Mend the fields",
    instance: "request-1",
    issues: [{ path: "to[0]", problem: "must look like name@example.com" }],
  });
});

test("while signing in, a 401 means a wrong password, and everything else stays what it is", () => {
  expect(signInProblemOf(new RequestFailure(toRequestProblem(401, ""))).code).toBe("sign-in.wrong");
  expect(signInProblemOf(new RequestFailure(toRequestProblem(503, ""))).code).toBe("upstream.down");
});

test.each([
  [502, "<html>Bad gateway</html>", "upstream.down"],
  [429, "", "limit.exceeded"],
  [401, "[]", "request.unauthenticated"],
  [400, '{"code":"SOME_LIBRARY_CODE"}', "request.invalid"],
  [500, "null", "internal"],
])("an answer that is not ours keeps its meaning: %d %p is %p", (status, body, code) => {
  expect(String(toRequestProblem(status, body).code)).toBe(code);
});

test("issues without words are dropped", () => {
  expect(toRequestProblem(400, '{"errors":[{"path":"to"},"x",{"problem":"is wrong"}]}').issues).toEqual([
    { path: "", problem: "is wrong" },
  ]);
});

test("what never reached the gateway is a network problem", () => {
  const problem = toRequestProblem(404, "");
  expect(problemOf(new RequestFailure(problem))).toBe(problem);
  expect(problemOf(new TypeError("Failed to fetch")).code).toBe("network");
});
