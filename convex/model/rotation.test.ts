import { describe, expect, test } from "bun:test";
import { afterLook, rotationFor } from "./rotation.ts";

const dayMs = 86_400_000;
const key = (selector: string) => ({
  selector,
  algorithm: "rsa-sha256" as const,
  publicKey: `public-${selector}`,
  sealedPrivateKey: `sealed-${selector}`,
});
const row = {
  domain: "example.com",
  organizationId: "default",
  returnPathHost: "bounces.example.com",
  state: "verified" as const,
  createdAt: 0,
  records: [],
  keys: [key("one")],
  rotation: { number: 2, startedAt: 0, keys: [key("two"), key("three")] },
};
const record = (selector: string, state: "found" | "missing" | "different" | "unreachable" = "found") => ({
  purpose: "dkim" as const,
  type: "TXT" as const,
  name: `${selector}._domainkey.example.com`,
  value: `v=DKIM1; k=rsa; p=public-${selector}`,
  required: false,
  state,
  found: [],
});
const look = (records: ReturnType<typeof record>[], checkedAt = 5) => ({
  records,
  state: "verified" as const,
  checkedAt,
});

describe("next keys of a domain", () => {
  test.each([
    ["none was seen", []],
    ["one of two was seen", [record("two")]],
    ["one is missing", [record("two"), record("three", "missing")]],
    ["one is another key", [record("two"), record("three", "different")]],
    ["DNS did not answer for one", [record("two"), record("three", "unreachable")]],
    [
      "a key of that selector with another value was seen",
      [record("two"), { ...record("three"), value: "p=other" }],
    ],
  ])("do not sign while %s", (_why, records) => {
    const changed = afterLook(row, look(records));
    expect(changed).toEqual(look(records));
  });

  test("sign once all were seen; the old private keys are gone and the public ones kept for seven days", () => {
    const changed = afterLook(row, look([record("one"), record("two"), record("three")]));
    expect(changed).toMatchObject({ keys: row.rotation.keys, keysNumber: 2, keysSince: 5 });
    expect(changed).toHaveProperty("rotation", undefined);
    expect(changed.retired).toEqual([
      { selector: "one", algorithm: "rsa-sha256", publicKey: "public-one", keepUntil: 5 + 7 * dayMs },
    ]);
  });

  test("are not asked for without keys to take over from, nor while others are on their way", () => {
    expect(rotationFor({ keys: [] }, 1)).toBeUndefined();
    expect(rotationFor(row, 1)).toBeUndefined();
    expect(rotationFor({ keys: row.keys, keysNumber: 4 }, 1)).toEqual({ number: 5, startedAt: 1, keys: [] });
  });

  test("that the mta has not made yet do not take over", () => {
    const waiting = { ...row, rotation: { ...row.rotation, keys: [] } };
    expect(afterLook(waiting, look([record("one")]))).not.toHaveProperty("keys");
  });
});

describe("an old key", () => {
  const { selector, algorithm, publicKey } = key("old");
  const { rotation: _, ...settled } = row;
  const rotated = { ...settled, retired: [{ selector, algorithm, publicKey, keepUntil: 100 }] };
  test.each([
    ["before its time, even when it is gone", "missing", 99, 1],
    ["after its time while DNS shows it", "found", 100, 1],
    ["after its time while DNS does not answer", "unreachable", 100, 1],
    ["no longer once its time is over and it is gone", "missing", 100, 0],
  ] as const)("is shown %s", (_when, state, checkedAt, count) => {
    const { retired = [] } = afterLook(rotated, look([record("old", state)], checkedAt));
    expect(retired).toHaveLength(count);
  });

  test("stays among at most eight, of which the latest count", () => {
    const many = Array.from({ length: 8 }, (_unused, index) => ({
      selector: `old${index}`,
      algorithm,
      publicKey,
      keepUntil: 1_000,
    }));
    const { retired = [] } = afterLook({ ...row, retired: many }, look([record("two"), record("three")]));
    expect(retired.map((each) => each.selector)).toEqual([
      ...many.slice(1).map((each) => each.selector),
      "one",
    ]);
  });
});
