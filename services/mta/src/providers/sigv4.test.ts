/** Against AWS's own published examples: aws-sig-v4-test-suite get-vanilla and post-vanilla. */
import { expect, test } from "bun:test";
import { signRequest } from "./sigv4.ts";

const credentials = {
  accessKeyId: "AKIDEXAMPLE",
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
};
const vanilla = {
  host: "example.amazonaws.com",
  path: "/",
  headers: {},
  body: "",
  region: "us-east-1",
  service: "service",
  nowMs: Date.UTC(2015, 7, 30, 12, 36, 0),
};

test.each([
  ["GET", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"],
  ["POST", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"],
])("%s of the published suite gets its published signature", (method, signature) => {
  expect(signRequest({ ...vanilla, method }, credentials)).toEqual({
    host: "example.amazonaws.com",
    "x-amz-date": "20150830T123600Z",
    authorization: `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=${signature}`,
  });
});

test("headers, body and a session token are signed too", () => {
  const signatureOf = (more: object, token?: string) =>
    signRequest({ ...vanilla, method: "POST", ...more }, { ...credentials, sessionToken: token })
      .authorization;
  const given = [
    signatureOf({}),
    signatureOf({ headers: { "content-type": "application/json" } }),
    signatureOf({ body: "{}" }),
    signatureOf({}, "token"),
  ];
  expect(new Set(given).size).toBe(4);
  expect(given[3]).toContain("SignedHeaders=host;x-amz-date;x-amz-security-token,");
});
