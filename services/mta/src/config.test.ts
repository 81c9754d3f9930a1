import { expect, test } from "bun:test";
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
