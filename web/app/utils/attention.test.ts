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
    [],
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
    [],
    nowMs,
  );
  expect(found.map(({ name }) => name)).toEqual(["mail2"]);
});

test("an address that reaches no mail server comes first, and once, however many pools it is in", () => {
  const closed = { name: "port 25", ok: false, say: "outgoing port 25 seems to be blocked" };
  const names = { name: "reverse DNS", ok: false, say: "no name" };
  const pool = {
    egresses: [
      { egress: "a", checks: [names, closed] },
      { egress: "b", checks: [{ ...closed, ok: true }] },
    ],
  };
  const found = attentionOf([{ domain: "bad.example", state: "failing" }], [], [], [pool, pool], nowMs);
  expect(found).toEqual([
    { kind: "port", name: "a", why: "outgoing port 25 seems to be blocked" },
    { kind: "domain", name: "bad.example" },
  ]);
});
