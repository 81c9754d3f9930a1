import { expect, test } from "bun:test";
import { OrganizationId } from "@tyto/contracts";
import { createResolver } from "@tyto/dns";
import { readConfig } from "../config.ts";
import { createProviders } from "./choice.ts";

const secrets = { MTA_SECRET: "0123456789abcdef", BOUNCE_VERP_KEY: "0123456789abcdef" };
const read = (env: Record<string, string>) => readConfig({ ...secrets, ...env });
const ses = {
  EMAIL_SES_REGION: "eu-west-1",
  EMAIL_SES_ACCESS_KEY_ID: "AKIDTEST",
  EMAIL_SES_SECRET_ACCESS_KEY: "secret",
};

test("without a setting we deliver ourselves, and nothing overflows", () => {
  const { providers } = read({});
  expect(providers).toMatchObject({ usual: "mta", overflow: undefined, relay: undefined });
});

test.each([
  [{ EMAIL_PROVIDER: "ses" }, "EMAIL_SES_ACCESS_KEY_ID is not set, and ses is to deliver mail"],
  [{ EMAIL_PROVIDER: "smtp" }, "EMAIL_SMTP_HOST is not set"],
  [{ EMAIL_OVERFLOW_PROVIDER: "resend" }, "EMAIL_RESEND_API_KEY is not set"],
  [{ EMAIL_PROVIDER_ORGANIZATIONS: "acme=ses" }, "EMAIL_SES_REGION is not set"],
  [{ EMAIL_PROVIDER_ORGANIZATIONS: "acme=pigeon" }, "organization=mta|smtp|ses|resend"],
  [{ EMAIL_PROVIDER_ORGANIZATIONS: "Acme!=ses" }, "organization=mta|smtp|ses|resend"],
  [{ EMAIL_PROVIDER: "pigeon" }, "EMAIL_PROVIDER"],
  [{ EMAIL_SMTP_HOST: "r.example", EMAIL_SMTP_USER: "ann" }, "both or neither"],
] as [Record<string, string>, string][])("%j is refused at start: %s", (env, words) => {
  expect(() => read(env)).toThrow(words);
});

test("a faulty setting never shows a secret", () => {
  const env = { ...ses, EMAIL_PROVIDER: "smtp", EMAIL_SMTP_PASSWORD: "the password" };
  expect(() => read(env)).toThrow();
  try {
    read(env);
  } catch (error) {
    expect(String(error)).not.toMatch(/the password|AKIDTEST/);
  }
});

test("an organisation's own provider comes before the usual one; the overflow is asked for by itself", () => {
  const { providers: settings, timeouts } = read({
    ...ses,
    EMAIL_PROVIDER: "ses",
    EMAIL_PROVIDER_ORGANIZATIONS: "own=mta,other=resend",
    EMAIL_OVERFLOW_PROVIDER: "resend",
    EMAIL_RESEND_API_KEY: "re_1",
  });
  expect(String(settings.ses?.url)).toBe("https://email.eu-west-1.amazonaws.com/");
  const providers = createProviders(settings, {
    resolver: createResolver({ servers: [{ host: "127.0.0.1", port: 9 }] }),
    ehloName: "mail.test",
    timeouts,
    now: Date.now,
  });
  const nameFor = (id: string) => providers.of({ organizationId: OrganizationId.parse(id) })?.name;
  expect([nameFor("default"), nameFor("own"), nameFor("other")]).toEqual(["ses", undefined, "resend"]);
  expect(providers.overflow({})?.name).toBe("resend");
  expect(providers.overflow({})).toBe(providers.of({ organizationId: OrganizationId.parse("other") }));
  // It can wait for an address of our own, which can promise it.
  expect(providers.overflow({ requireTls: true })).toBeUndefined();
  providers.close();
});
