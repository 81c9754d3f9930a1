import { expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { readConfig } from "./config.ts";

const secrets = { MTA_SECRET: "0123456789abcdef", BOUNCE_VERP_KEY: "0123456789abcdef" };

test("private targets are closed unless the operator says so, whatever resolver is named", () => {
  const allows = (env: Record<string, string>) => readConfig({ ...secrets, ...env }).allowPrivate;
  expect(allows({})).toBe(false);
  expect(allows({ TYTO_DNS_SERVERS: "127.0.0.1:5300" })).toBe(false);
  expect(allows({ TYTO_DNS_SERVERS: "127.0.0.1:5300", MTA_ALLOW_PRIVATE: "" })).toBe(false);
  expect(allows({ MTA_ALLOW_PRIVATE: "true" })).toBe(true);
});

test("a rule that sends mail by a pool that there is not is refused with what to do", async () => {
  const file = `${tmpdir()}/tyto-rules-${process.pid}.json`;
  await Bun.write(file, '{"on": ["listed-elsewhere"]}');
  const egressFile = `${tmpdir()}/tyto-pools-${process.pid}.toml`;
  const egress = '[egress.a]\nehlo = "a.example.com"\nwarming = "warm"\n[pool.overflow]\nmembers = ["a"]\n';
  await Bun.write(egressFile, egress);
  expect(() => readConfig({ ...secrets, MTA_RULES_FILE: file })).toThrow(
    "the rule listed-elsewhere sends mail by the pool overflow; add [pool.overflow] to MTA_EGRESS_FILE",
  );
  const config = readConfig({ ...secrets, MTA_RULES_FILE: file, MTA_EGRESS_FILE: egressFile });
  expect(config.rules.rules.find(({ id }) => id === "listed-elsewhere")?.enabled).toBe(true);
  await Promise.all([rm(file), rm(egressFile)]);
});

test("what is asked of TLS is read, authorities from a file", () => {
  const file = `${import.meta.dir}/../fixtures/tls/authority.pem`;
  const config = readConfig({
    ...secrets,
    MTA_TLS: "bank.example=verified",
    MTA_TLS_CA_FILE: file,
    MTA_TLS_REPORT_FROM: "TLS@Example.com",
    TYTO_DNS_VALIDATES: "true",
  });
  expect(config).toMatchObject({
    authorities: [expect.stringContaining("BEGIN CERTIFICATE")],
    dnsValidates: true,
    tlsReporter: { domain: "example.com", contact: expect.stringContaining("@") },
  });
  expect(config.tlsFloors.get("bank.example")).toBe("verified");
  expect(readConfig(secrets)).toMatchObject({
    authorities: [],
    dnsValidates: undefined,
    tlsReporter: undefined,
  });
  for (const [name, value] of [
    ["MTA_TLS", "bank.example=secure"],
    ["MTA_TLS_CA_FILE", import.meta.path],
    ["MTA_TLS_CA_FILE", "/nowhere.pem"],
    ["MTA_TLS_REPORT_FROM", "nobody"],
  ] as const)
    expect(() => readConfig({ ...secrets, [name]: value })).toThrow(name);
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
    'MTA_EGRESS_FILE egress.a.warming: warming is "warm"',
  );
  await rm(path);
  expect(() => readConfig({ ...secrets, MTA_EGRESS_FILE: path })).toThrow("no such file");
  expect(readConfig({ ...secrets, MAIL_HOSTNAME: "mail.example.com" }).egress.egresses).toEqual([
    { id: "system", ehloName: "mail.example.com", since: "warm" },
  ]);
});

test("limits of sites and the file of rules are read at start, and their faults are told with their names", async () => {
  const path = `${tmpdir()}/tyto-rules-${process.pid}.json`;
  await Bun.write(path, '{"off": ["yahoo-ts03"]}');
  const { siteLimits, rules } = readConfig({
    ...secrets,
    MTA_SITE_LIMITS: "google:rate=500/min",
    MTA_RULES_FILE: path,
  });
  expect([...siteLimits]).toEqual([["google", { ratePerMin: 500 }]]);
  expect(rules.rules.find(({ id }) => id === "yahoo-ts03")?.enabled).toBe(false);
  await Bun.write(path, '{"off": ["yahoo-ts99"]}');
  const wrong = { ...secrets, MTA_SITE_LIMITS: "google", MTA_RULES_FILE: path };
  expect(() => readConfig(wrong)).toThrow("MTA_SITE_LIMITS");
  expect(() => readConfig(wrong)).toThrow("yahoo-ts99: there is no shipped rule of this name");
  await rm(path);
});
