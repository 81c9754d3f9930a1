import type { TestNats } from "@tyto/bus/testing";
import { events as contracts, isSubject, type StoredEvent } from "@tyto/contracts";
import { internal } from "@tyto/convex/api";
import type { TestDeployment } from "@tyto/convex/samples.testing.ts";
import { connect } from "nats";

/** The events of the stream, which go to Convex when `record` is called. */
export async function openEvents(nats: TestNats, convex: TestDeployment) {
  const { url, user, password = "" } = nats.login("admin");
  const admin = await connect({ servers: url, ...(user === undefined ? {} : { user, pass: password }) });
  const { streams } = await admin.jetstreamManager({ timeout: 30_000 });
  const stored: StoredEvent[] = [];
  let read = 0;
  let recorded = 0;
  const all = async (): Promise<StoredEvent[]> => {
    const { state } = await streams.info("EVENTS");
    for (; read < state.last_seq; read++) {
      const message = await streams.getMessage("EVENTS", { seq: read + 1 });
      if (!isSubject(message.subject)) throw new Error(`${message.subject} is no event`);
      const contract = contracts[message.subject];
      for (const line of message.string().split("\n"))
        stored.push({ subject: message.subject, payload: contract.parse(JSON.parse(line)) } as StoredEvent);
    }
    return [...stored];
  };
  return {
    all,
    async record() {
      const fresh = (await all()).slice(recorded);
      recorded += fresh.length;
      if (fresh.length > 0) await convex.mutation(internal.record.apply, { events: JSON.stringify(fresh) });
    },
    stop: () => admin.drain(),
  };
}
