import { expect, test } from "bun:test";
import { createLocalJWKSet, jwtVerify } from "jose";
import { Signing } from "./signing.ts";

const nowMs = 1_700_000_000_000;
const keysOf = ({ jwk }: Signing) => createLocalJWKSet({ keys: [jwk] });
const at = { currentDate: new Date(nowMs) };

test("a signed token is verified with the published key, and says who signed it and how long it is valid", async () => {
  const signing = new Signing("00".repeat(32));
  const token = signing.sign(
    "https://site",
    { claims: { sub: "ada", roles: ["x"] }, expiresInSeconds: 60 },
    nowMs,
  );
  const { payload, protectedHeader } = await jwtVerify(token, keysOf(signing), {
    ...at,
    issuer: "https://site",
  });
  expect(payload).toEqual({
    sub: "ada",
    roles: ["x"],
    iss: "https://site",
    iat: nowMs / 1000,
    exp: nowMs / 1000 + 60,
  });
  expect(protectedHeader).toMatchObject({ alg: "ES256", kid: signing.jwk.kid });
  const again = new Signing("00".repeat(32));
  expect(again.jwk).toEqual(signing.jwk);
  const other = new Signing("01".repeat(32));
  await expect(jwtVerify(token, keysOf(other), at)).rejects.toThrow();
});

const refused: [string, unknown, string][] = [
  ["an issuer of the caller", { claims: { iss: "me" }, expiresInSeconds: 60 }, "reserved"],
  ["a claim of Convex", { claims: { CvxThing: 1 }, expiresInSeconds: 60 }, "reserved"],
  ["no lifetime", { claims: {} }, "expiresInSeconds"],
  ["a lifetime over an hour", { expiresInSeconds: 3601 }, "expiresInSeconds"],
  ["half a second", { expiresInSeconds: 0.5 }, "expiresInSeconds"],
];
test.each(refused)("%s is refused", (_name, options, reason) => {
  expect(() => new Signing("00").sign("https://site", options, nowMs)).toThrow(reason);
});
