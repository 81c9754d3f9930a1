import { z } from "zod";

const CustomJwt = z.object({
  type: z.literal("customJwt"),
  issuer: z.string(),
  /** https:, or data: with the key set itself. */
  jwks: z.url(),
  algorithm: z.enum(["RS256", "ES256"]),
  applicationID: z.string().nullish(),
});
const OpenId = z.object({ domain: z.string(), applicationID: z.string() });

/** A provider of `auth.config.ts`. */
export const Provider = z.union([CustomJwt, OpenId]);
export type Provider = z.infer<typeof Provider>;
export const AuthConfig = z.object({ providers: z.array(Provider) });

export const isCustomJwt = (provider: Provider): provider is z.infer<typeof CustomJwt> => "type" in provider;

export const issuerOf = (provider: Provider): string => {
  if (isCustomJwt(provider)) return provider.issuer;
  return /^https?:\/\//.test(provider.domain) ? provider.domain : `https://${provider.domain}`;
};

/** Issuers are compared without the slash that some write at their end. */
export const withoutSlash = (url: string): string => url.replace(/\/$/, "");
