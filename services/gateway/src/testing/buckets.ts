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
import type { Mirror } from "../mirror.ts";
import type { TestGateway } from "../testing.ts";
import type { wire } from "../wiring.ts";
import { signingKey } from "./signing-key.ts";

type Known = Pick<Awaited<ReturnType<typeof wire>>, "apiKeys" | "domainRecords">;
type Buckets = Pick<
  TestGateway,
  "key" | "revoke" | "addDomain" | "whenVerified" | "whenSigning" | "domainRecord" | "suppress"
>;

/** A busy machine takes a while to bring a change. */
const arriveMsMax = 30_000;

async function whenKnown<V>(
  mirror: Mirror<V>,
  key: string,
  what: string,
  passes: (known: V | undefined) => boolean,
): Promise<void> {
  if (!passes(await mirror.waitFor(key, passes, arriveMsMax)))
    throw new Error(`the gateway did not hear in time that ${what}`);
}

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
      await whenKnown(apiKeys, hash, "there is a key", (known) => known !== undefined);
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
      await whenKnown(domainRecords, domain, `${domain} is as it was added`, (known) =>
        Bun.deepEquals(known, record),
      );
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
      await whenKnown(apiKeys, hash, "the key is gone", (known) => known === undefined);
    },
    async whenVerified(domain, verified) {
      const what = `${domain} is ${verified ? "" : "not "}verified`;
      await whenKnown(domainRecords, domain, what, (known) => known?.verified === verified);
    },
    async whenSigning(domain, selector) {
      await whenKnown(
        domainRecords,
        domain,
        `${selector} signs`,
        (known) => known?.keys.some((key) => key.selector === selector) ?? false,
      );
    },
    domainRecord: (domain) => recorder.bucket("DOMAINS").get(domain),
  };
}
