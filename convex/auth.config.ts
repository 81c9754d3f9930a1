import type { AuthConfig } from "convex/server";
import { issuers } from "./model/issuers.ts";

/** The key set comes as a data: URI, so that checking a token needs no network. Unset, Convex refuses the deployment. */
const provider = (issuer: string, jwks: string | undefined) => ({
  type: "customJwt" as const,
  issuer,
  jwks: jwks ?? "",
  algorithm: "ES256" as const,
  applicationID: "convex",
});

export default {
  providers: [
    provider(issuers.gateway, process.env.GATEWAY_JWKS),
    provider(issuers.recorder, process.env.RECORDER_JWKS),
  ],
} satisfies AuthConfig;
