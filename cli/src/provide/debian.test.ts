import { expect, test } from "bun:test";
import { parseMadison, parseSources, suitesOf } from "./debian.ts";

const targets = [
  "http://mirror.example/debian/ bookworm",
  "http://mirror.example/debian/ bookworm",
  "http://mirror.example/debian-security/ bookworm-security",
  "https://packages.example/node nodistro",
  "",
].join("\n");

test("only Debian's own archives are used, each suite once", () => {
  expect(parseSources(targets)).toEqual([
    { uri: "http://mirror.example/debian/", suite: "bookworm" },
    { uri: "http://mirror.example/debian-security/", suite: "bookworm-security" },
  ]);
});

test("newer suites come from the machine's main mirror", () => {
  const suites = suitesOf(parseSources(targets), ["testing", "unstable"]);
  expect(suites).toEqual([
    { uri: "http://mirror.example/debian/", suite: "testing" },
    { uri: "http://mirror.example/debian/", suite: "unstable" },
  ]);
  expect(suitesOf([], ["testing"])).toEqual([]);
});

test("the version on offer is the first that madison lists", () => {
  expect(
    parseMadison("nats-server | 2.15.1-1 | http://mirror.example/debian testing/main amd64 Packages\n"),
  ).toBe("2.15.1-1");
  expect(parseMadison("")).toBeUndefined();
});
