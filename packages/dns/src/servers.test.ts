import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isOnThisMachine, parseServers, systemServers } from "./servers.ts";

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

test("a resolver on this machine is on a loopback address, and is not Docker's forwarder", () => {
  const isOn = (host: string) => isOnThisMachine({ host, port: 53 });
  expect(["127.0.0.1", "127.0.0.53", "::1"].map(isOn)).toEqual([true, true, true]);
  expect(["127.0.0.11", "10.0.0.1", "1.1.1.1", "2606:4700::1111"].map(isOn)).toEqual([
    false,
    false,
    false,
    false,
  ]);
});
