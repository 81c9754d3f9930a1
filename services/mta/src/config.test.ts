import { expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { readConfig } from "./config.ts";

const secrets = { MTA_SECRET: "0123456789abcdef", BOUNCE_VERP_KEY: "0123456789abcdef" };

test("private targets are closed, unless the operator names a resolver or says so", () => {
  const allows = (env: Record<string, string>) => readConfig({ ...secrets, ...env }).allowPrivate;
  expect(allows({})).toBe(false);
  expect(allows({ TYTO_DNS_SERVERS: "127.0.0.1:5300" })).toBe(true);
  expect(allows({ TYTO_DNS_SERVERS: "127.0.0.1:5300", MTA_ALLOW_PRIVATE: "false" })).toBe(false);
  expect(allows({ MTA_ALLOW_PRIVATE: "true" })).toBe(true);
});

test("every wrong setting is named with what it must be", () => {
  const wrong = {
    TYTO_DNS_SERVERS: "dns.example",
    TYTO_ROUTES: "x",
    MTA_CONCURRENCY: "0",
    MTA_SECRET: "short",
  };
  try {
    readConfig(wrong);
    expect.unreachable();
  } catch (error) {
    const text = String(error);
    for (const name of [...Object.keys(wrong), "BOUNCE_VERP_KEY"]) expect(text).toContain(name);
    expect(text).toContain("domain=host:port");
  }
});

test("a file of egresses is read at start, and its faults are told with its name", async () => {
  const path = `${tmpdir()}/tyto-egress-${process.pid}.toml`;
  const egress = (text: string) => Bun.write(path, text);
  await egress('[egress.a]\nehlo = "a.example.com"\nwarming = "new"\n');
  expect(readConfig({ ...secrets, MTA_EGRESS_FILE: path }).egress.egresses).toEqual([
    { id: "a", ehloName: "a.example.com", since: "new" },
  ]);
  await egress('[egress.a]\nehlo = "a.example.com"\n');
  expect(() => readConfig({ ...secrets, MTA_EGRESS_FILE: path })).toThrow(
    'MTA_EGRESS_FILE: egress.a.warming: warming is "warm"',
  );
  await rm(path);
  expect(() => readConfig({ ...secrets, MTA_EGRESS_FILE: path })).toThrow("no such file");
  expect(readConfig({ ...secrets, MAIL_HOSTNAME: "mail.example.com" }).egress.egresses).toEqual([
    { id: "system", ehloName: "mail.example.com", since: "warm" },
  ]);
});
