import { expect, test } from "bun:test";
import { Random } from "../../fixtures/random.ts";
import { decodeId, encodeId, newId } from "./id.ts";

const fill = (bytes: Uint8Array) => {
  crypto.getRandomValues(bytes);
};

test.each([
  ["j57bynpqhgjdjcfm2dxpj3j7vx774s1h", 10001],
  ["j57cvkhfqz7kxzjden4f3khpcn6y41jn", 10001],
  ["jd7746s4q8nf1qz7mm12sctdch823n4y", 10003],
  ["jd7bpe5v112dkqgbp4yq2nrr998229hv", 10003],
  ["kg2btrj1fx9habve4t6dpnnaqh8ej1m3", 540],
])("the id %s of an official deployment is understood", (id, tableNumber) => {
  const decoded = decodeId(id);
  expect(decoded).not.toBeNull();
  expect(decoded?.tableNumber).toBe(tableNumber);
  expect(decoded === null ? null : encodeId(decoded)).toBe(id);
});

test("ids of all table numbers come back as they were made", () => {
  for (const tableNumber of [1, 127, 128, 10001, 16_383, 16_384, 2 ** 21, 2 ** 28, 2 ** 32 - 1]) {
    const id = newId(tableNumber, 1_700_000_000_000, fill);
    expect(id.length).toBeGreaterThanOrEqual(31);
    expect(id.length).toBeLessThanOrEqual(37);
    expect(decodeId(id)?.tableNumber).toBe(tableNumber);
  }
});

test("a later id of the same table sorts after an earlier one", () => {
  const earlier = newId(10001, 1_700_000_000_000, fill);
  expect(newId(10001, 1_700_000_000_001, fill) > earlier).toBe(true);
});

test("a changed character, a cut and foreign text are no ids", () => {
  const random = new Random(3);
  const id = newId(10001, 1_700_000_000_000, fill);
  for (let round = 0; round < 500; round++) {
    const at = random.below(id.length);
    const changed = id.slice(0, at) + random.pick([..."0123456789abcdefghjkmnpqrstvwxyz"]) + id.slice(at + 1);
    if (changed !== id) expect(decodeId(changed)).toBeNull();
    expect(decodeId(id.slice(0, at))).toBeNull();
    expect(decodeId(random.string(40))).toBeNull();
  }
});
