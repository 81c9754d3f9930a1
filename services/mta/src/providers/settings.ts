/** Who delivers what, from the environment. */
import { OrganizationId } from "@tyto/contracts";
import { count, port } from "@tyto/service";
import { z } from "zod";
import { type ProviderName, providerNames } from "./provider.ts";
import type { RelaySettings } from "./relay.ts";
import type { ResendSettings } from "./resend.ts";
import type { SesSettings } from "./ses.ts";

/** Our own way to the mail servers, or somebody else's. */
export type Carrier = "mta" | ProviderName;
const carriers = ["mta", ...providerNames] as const;
const isCarrier = (text: string): text is Carrier => carriers.some((name) => name === text);

export type ProviderSettings = {
  /** For organisations that have none of their own. */
  usual: Carrier;
  organizations: ReadonlyMap<OrganizationId, Carrier>;
  /** Takes what our own addresses may not send today. */
  overflow: ProviderName | undefined;
  relay: RelaySettings | undefined;
  ses: SesSettings | undefined;
  resend: ResendSettings | undefined;
};

export const providerShape = {
  EMAIL_PROVIDER: z.enum(carriers).default("mta"),
  EMAIL_PROVIDER_ORGANIZATIONS: z
    .string()
    .default("")
    .transform((text, context) => {
      try {
        return parseOrganizations(text);
      } catch (error) {
        context.addIssue({ code: "custom", message: error instanceof Error ? error.message : String(error) });
        return z.NEVER;
      }
    }),
  EMAIL_OVERFLOW_PROVIDER: z.enum(providerNames).optional(),
  EMAIL_PROVIDER_CONNECTIONS: count(10, 200),
  EMAIL_SMTP_HOST: z.string().min(1).max(253).optional(),
  EMAIL_SMTP_PORT: port(587),
  EMAIL_SMTP_USER: z.string().min(1).optional(),
  EMAIL_SMTP_PASSWORD: z.string().min(1).optional(),
  EMAIL_SMTP_TLS: z.enum(["required", "none"]).default("required"),
  EMAIL_SES_REGION: z
    .string()
    .regex(/^[a-z0-9-]+$/, "must be a region such as eu-west-1")
    .optional(),
  EMAIL_SES_ACCESS_KEY_ID: z.string().min(1).optional(),
  EMAIL_SES_SECRET_ACCESS_KEY: z.string().min(1).optional(),
  EMAIL_SES_SESSION_TOKEN: z.string().min(1).optional(),
  EMAIL_SES_CONFIGURATION_SET: z.string().min(1).max(64).optional(),
  EMAIL_SES_URL: z.url().optional(),
  EMAIL_RESEND_API_KEY: z.string().min(1).optional(),
  EMAIL_RESEND_URL: z.url().default("https://api.resend.com"),
};

type Given = z.infer<z.ZodObject<typeof providerShape>>;

/** `acme=ses,other=mta`. Throws TypeError with words for the operator. */
function parseOrganizations(text: string): ReadonlyMap<OrganizationId, Carrier> {
  const entries = text
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "");
  return new Map(
    entries.map((entry) => {
      const [name = "", carrier = "", ...rest] = entry.split("=").map((part) => part.trim());
      const id = OrganizationId.safeParse(name);
      if (!id.success || rest.length > 0 || !isCarrier(carrier))
        throw new TypeError(`must be organization=${carriers.join("|")},... and is ${JSON.stringify(entry)}`);
      return [id.data, carrier];
    }),
  );
}

/** What is set of each provider, and what those that are used lack, in words for the operator. */
export function providersOf(given: Given): { providers: ProviderSettings; problems: string[] } {
  const atOnceMax = given.EMAIL_PROVIDER_CONNECTIONS;
  const organizations = given.EMAIL_PROVIDER_ORGANIZATIONS;
  const used = new Set([given.EMAIL_PROVIDER, ...organizations.values(), given.EMAIL_OVERFLOW_PROVIDER]);
  const user = given.EMAIL_SMTP_USER;
  const password = given.EMAIL_SMTP_PASSWORD;
  const region = given.EMAIL_SES_REGION;
  const accessKeyId = given.EMAIL_SES_ACCESS_KEY_ID;
  const secretAccessKey = given.EMAIL_SES_SECRET_ACCESS_KEY;
  const apiKey = given.EMAIL_RESEND_API_KEY;
  const host = given.EMAIL_SMTP_HOST;

  const lacks = (provider: ProviderName, names: (keyof Given)[]) =>
    used.has(provider)
      ? names
          .filter((name) => given[name] === undefined)
          .map((name) => `${name} is not set, and ${provider} is to deliver mail`)
      : [];
  const problems = [
    ...lacks("smtp", ["EMAIL_SMTP_HOST"]),
    ...((user === undefined) === (password === undefined)
      ? []
      : ["EMAIL_SMTP_USER and EMAIL_SMTP_PASSWORD are set both or neither"]),
    ...lacks("ses", ["EMAIL_SES_REGION", "EMAIL_SES_ACCESS_KEY_ID", "EMAIL_SES_SECRET_ACCESS_KEY"]),
    ...lacks("resend", ["EMAIL_RESEND_API_KEY"]),
  ];
  return {
    problems,
    providers: {
      usual: given.EMAIL_PROVIDER,
      organizations,
      overflow: given.EMAIL_OVERFLOW_PROVIDER,
      relay:
        host === undefined
          ? undefined
          : {
              host,
              port: given.EMAIL_SMTP_PORT,
              credentials: user === undefined || password === undefined ? undefined : { user, password },
              tls: given.EMAIL_SMTP_TLS,
              atOnceMax,
            },
      ses:
        region === undefined || accessKeyId === undefined || secretAccessKey === undefined
          ? undefined
          : {
              region,
              credentials: { accessKeyId, secretAccessKey, sessionToken: given.EMAIL_SES_SESSION_TOKEN },
              configurationSet: given.EMAIL_SES_CONFIGURATION_SET,
              url: new URL(given.EMAIL_SES_URL ?? `https://email.${region}.amazonaws.com`),
              atOnceMax,
            },
      resend: apiKey === undefined ? undefined : { apiKey, url: new URL(given.EMAIL_RESEND_URL), atOnceMax },
    },
  };
}
