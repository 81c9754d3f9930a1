import { expect, test } from "bun:test";
import { censored } from "./censor.ts";

test("what names a secret is not written, at the top or one level down", () => {
  const fields = { user: "ann", password: "p", login: { token: "t", host: "h" }, authorization: "Bearer x" };
  expect(censored(fields)).toEqual({
    user: "ann",
    password: "***",
    login: { token: "***", host: "h" },
    authorization: "***",
  });
  expect(fields.password).toBe("p");
  expect(fields.login.token).toBe("t");
});

test("a secret that is no text is not written either", () => {
  expect(censored<Record<string, unknown>>({ secret: { parts: ["a"] }, token: undefined })).toEqual({
    secret: "***",
    token: "***",
  });
});

test("fields without secrets are not copied", () => {
  const fields = {
    attempt: 1,
    conversation: { mx: "mx.example" },
    list: [1],
    nothing: null,
    error: new Error("x"),
  };
  expect(censored(fields)).toBe(fields);
});
