import { type Bus, done } from "@tyto/bus";
import { Domain, type DomainRecord, defaultOrganization, type StoredEvent } from "@tyto/contracts";

/** The domain that tests send from, before it has keys. */
export const record: DomainRecord = {
  domain: Domain.parse("example.com"),
  organizationId: defaultOrganization,
  returnPathHost: Domain.parse("bounces.example.com"),
  keys: [],
  verified: true,
};

/** Sets up the domain and does what Convex does with the offers of keys for it; `onEvent` hears of every event. */
export async function setUpSender(
  recorder: Bus,
  onEvent: (event: StoredEvent) => void = () => {},
): Promise<void> {
  const domains = recorder.bucket("DOMAINS");
  await domains.put(record.domain, record);
  await recorder.consumeBatches("recorder", { batchMax: 200, waitMs: 5 }, async (batch) => {
    for (const { event } of batch) {
      onEvent(event);
      if (event.subject === "domain.keyed")
        await domains.put(record.domain, { ...record, keys: event.payload.keys });
    }
    return done;
  });
}
