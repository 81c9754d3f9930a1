import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseServers, systemServers } from "./servers.ts";

test("servers are read with and without a port, IPv6 in brackets", () => {
  expect(parseServers("127.0.0.1:5300, 192.0.2.1,[::1]:54,")).toEqual([
    { host: "127.0.0.1", port: 5300 },
    { host: "192.0.2.1", port: 53 },
    { host: "::1", port: 54 },
  ]);
});

test.each(["", ",", "dns.example:53", "127.0.0.1:0", "127.0.0.1:70000", "127.0.0.1:x", "1.2.3"])(
  "%p is refused with words",
  (text) => {
    expect(() => parseServers(text)).toThrow(/must/);
  },
);

test("resolv.conf names the servers, and the local host stands in for an absent file", () => {
  const directory = mkdtempSync(join(tmpdir(), "resolv-"));
  const path = join(directory, "resolv.conf");
  writeFileSync(
    path,
    "# local\nsearch example.com\nnameserver 192.0.2.1\n nameserver ::1\nnameserver nonsense\n",
  );
  expect(systemServers(path)).toEqual([
    { host: "192.0.2.1", port: 53 },
    { host: "::1", port: 53 },
  ]);
  expect(systemServers(join(directory, "absent"))).toEqual([{ host: "127.0.0.1", port: 53 }]);
  rmSync(directory, { recursive: true });
});
