import { expect, test } from "bun:test";
import { parseMadison, parseSources, suitesOf } from "./debian.ts";

const uris = [
  "'http://mirror.example/debian/dists/bookworm/InRelease' mirror.example_debian_dists_bookworm_InRelease 0 ",
  "'http://mirror.example/debian-security/dists/bookworm-security/InRelease' mirror.example_x 0 ",
  "'https://packages.example/node/dists/nodistro/InRelease' packages.example_node 0 ",
  "'http://mirror.example/debian/dists/bookworm/main/binary-amd64/Packages.xz' mirror.example_y 0 ",
  "'mirror+file:/etc/apt/mirrors/debian.list/dists/trixie/InRelease' z 0 ",
  "",
].join("\n");

test("only Debian's own archives are used, each suite once", () => {
  expect(parseSources(uris)).toEqual([
    { uri: "http://mirror.example/debian/", suite: "bookworm" },
    { uri: "http://mirror.example/debian-security/", suite: "bookworm-security" },
    { uri: "mirror+file:/etc/apt/mirrors/debian.list/", suite: "trixie" },
  ]);
});

test("newer suites come from the machine's main mirror", () => {
  const suites = suitesOf(parseSources(uris), ["testing", "unstable"]);
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
