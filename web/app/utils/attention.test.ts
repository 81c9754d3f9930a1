import { expect, test } from "bun:test";
import { attentionOf } from "./attention.ts";

const nowMs = 1_000_000;
const hold = (scopeId: string, more: object = {}) => ({
  scope: "site",
  scopeId,
  heldAt: 1,
  why: "x",
  ...more,
});

test("domains that lost records, addresses out of use and what is held need somebody", () => {
  const found = attentionOf(
    [
      { domain: "good.example", state: "verified" },
      { domain: "new.example", state: "pending" },
      { domain: "bad.example", state: "failing" },
    ],
    [{ egress: "mail2", why: "listed" }],
    [hold("google", { untilAt: nowMs + 1, site: "yahoo" })],
    nowMs,
  );
  expect(found).toEqual([
    { kind: "domain", name: "bad.example" },
    { kind: "egress", name: "mail2", why: "listed" },
    { kind: "hold", scope: "site", name: "google", site: "yahoo", why: "x" },
  ]);
});

test("what is over needs nobody, and an address that is out twice is told once", () => {
  const found = attentionOf(
    [],
    [{ egress: "mail2" }, { egress: "mail2" }, { egress: "mail3", releasedAt: 5 }],
    [hold("google", { releasedAt: 5 }), hold("yahoo", { untilAt: nowMs })],
    nowMs,
  );
  expect(found.map(({ name }) => name)).toEqual(["mail2"]);
});
