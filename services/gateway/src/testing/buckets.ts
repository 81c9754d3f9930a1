import type { Bus } from "@tyto/bus";
import {
  Address,
  type ApiKeyRecord,
  Domain,
  type DomainRecord,
  defaultOrganization,
  suppressionKey,
} from "@tyto/contracts";
import { sha256 } from "../idempotency.ts";
import { newApiKey } from "../keys.ts";
import type { TestGateway } from "../testing.ts";
import type { wire } from "../wiring.ts";
import { signingKey } from "./signing-key.ts";

type Known = Pick<Awaited<ReturnType<typeof wire>>, "apiKeys" | "domainRecords">;
type Buckets = Pick<
  TestGateway,
  "key" | "revoke" | "addDomain" | "whenVerified" | "whenSigning" | "domainRecord" | "suppress"
>;

const arriveMsMax = 5_000;

/** What the recorder puts into the buckets, and when the gateway knows of it. */
export function openBuckets(recorder: Bus, { apiKeys, domainRecords }: Known): Buckets {
  return {
    async key(...scopes) {
      const { key, hash, apiKeyId } = newApiKey();
      const record: ApiKeyRecord = {
        apiKeyId,
        organizationId: defaultOrganization,
        name: "test",
        scopes,
        createdAt: 0,
      };
      await recorder.bucket("API_KEYS").put(hash, record);
      await apiKeys.waitFor(hash, (known) => known !== undefined, arriveMsMax);
      return key;
    },
    async addDomain(domain, more = {}) {
      const record: DomainRecord = {
        domain: Domain.parse(domain),
        organizationId: defaultOrganization,
        returnPathHost: Domain.parse(`bounces.${domain}`),
        keys: [signingKey],
        verified: true,
        ...more,
      };
      await recorder.bucket("DOMAINS").put(domain, record);
      const isThis = (known: DomainRecord | undefined) => Bun.deepEquals(known, record);
      if (!isThis(await domainRecords.waitFor(domain, isThis, arriveMsMax)))
        throw new Error(`the gateway does not know ${domain} as it was added`);
    },
    async suppress(address) {
      await recorder.bucket("SUPPRESSIONS").put(suppressionKey(address), {
        address: Address.parse(address),
        cause: "manual",
        since: 0,
      });
    },
    async revoke(key) {
      const hash = sha256(key);
      await recorder.bucket("API_KEYS").delete(hash);
      await apiKeys.waitFor(hash, (known) => known === undefined, arriveMsMax);
    },
    async whenVerified(domain, verified) {
      await domainRecords.waitFor(domain, (known) => known?.verified === verified, arriveMsMax);
    },
    async whenSigning(domain, selector) {
      const signs = (known: DomainRecord | undefined) =>
        known?.keys.some((key) => key.selector === selector) ?? false;
      if (!signs(await domainRecords.waitFor(domain, signs, arriveMsMax)))
        throw new Error(`${selector} does not sign`);
    },
    domainRecord: (domain) => recorder.bucket("DOMAINS").get(domain),
  };
}
