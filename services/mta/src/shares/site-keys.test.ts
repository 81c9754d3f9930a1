import { expect, test } from "bun:test";
import { shareKey } from "./shares.ts";
import { createShareKeys } from "./site-keys.ts";

const site = (name: string) => ({ egress: "one", site: name });

test("a site has one key, whoever asks, and a key leads back to its site", () => {
  const keys = createShareKeys(() => 3);
  const asked = site("mx.example.com");
  expect([keys.keyOf(asked), keys.keyOf(asked), keys.keyOf({ ...asked })]).toEqual(
    Array(3).fill(shareKey("one", "mx.example.com")),
  );
  expect(keys.siteOf(keys.keyOf(asked))).toEqual(asked);
  expect([keys.inUse(keys.keyOf(asked)), keys.inUse("unknown")]).toEqual([3, 0]);
});

test("of too many sites the oldest without a connection is forgotten, and known again when it is asked for", () => {
  const keys = createShareKeys(({ site }) => (site === "a" ? 1 : 0), 2);
  const [a, b, c] = [site("a"), site("b"), site("c")].map((each) => ({ each, key: keys.keyOf(each) }));
  if (a === undefined || b === undefined || c === undefined) throw new Error("three were made");
  expect([a, b, c].map(({ key }) => keys.siteOf(key))).toEqual([a.each, undefined, c.each]);
  expect([keys.keyOf(b.each), keys.siteOf(b.key)]).toEqual([b.key, b.each]);
});
