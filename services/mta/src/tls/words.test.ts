import { expect, test } from "bun:test";
import type { Facts } from "./demand.ts";
import { tlsaOf } from "./testing.ts";
import { policyWords } from "./words.ts";

const facts: Facts = {
  domain: "example.org",
  host: "mx.example.org",
  isHostCertain: true,
  floor: "opportunistic",
  sts: { kind: "none" },
  dane: { kind: "none" },
  requireTls: undefined,
};

test("nobody demands anything: there is nothing to say", () => {
  expect(policyWords(facts)).toEqual([]);
});

test("each policy is one entry, with how strict it is and when it runs out", () => {
  const mx = ["a", "b", "c", "d", "e", "f", "g"].map((label) => `${label}.example`);
  const policy = { mode: "enforce", mx, maxAgeS: 60 } as const;
  const words = policyWords(
    {
      ...facts,
      floor: "verified",
      sts: { kind: "policy", id: "1", policy },
      dane: { kind: "records", baseName: "mx.example.org", records: [tlsaOf(3, 1, 1, "known")] },
    },
    { record: { ...policy, domain: "example.org", id: "1", fetchedAt: 1_000 } },
  );
  expect(words).toEqual([
    { name: "MTA_TLS", mode: "verified", say: "The operator wants every session verified" },
    {
      name: "MTA-STS",
      mode: "enforce",
      say: "Mail servers: a.example, b.example, c.example, d.example, e.example and 2 more",
      untilMs: 61_000,
    },
    {
      name: "DANE",
      mode: "enforce",
      say: expect.stringMatching(/^mx\.example\.org must match 3 1 1 [0-9a-f]{64}$/),
    },
  ]);
});

test("what cannot be known or used is said", () => {
  const problem = { result: "sts-policy-fetch-error", why: "status 404" } as const;
  expect(
    policyWords({ ...facts, sts: { kind: "failed", problem }, dane: { kind: "failed", why: "SERVFAIL" } }),
  ).toMatchObject([
    { name: "MTA-STS", mode: "failed", say: "Counts as none: status 404" },
    { name: "DANE", mode: "unknown", say: "Mail waits: SERVFAIL" },
  ]);
  const unusable = Array.from({ length: 9 }, () => tlsaOf(1, 0, 0, "known"));
  const [words] = policyWords({ ...facts, dane: { kind: "records", baseName: "mx", records: unusable } });
  expect(words?.mode).toBe("encrypted");
  expect(words?.say.length).toBeLessThanOrEqual(280);
});
