/**
 * The process itself, killed between a server's 250 and the acknowledgement of the entry. What it held comes back after
 * the durables' `ackWaitMs`, so this takes a little more than a minute.
 */
import { expect, test } from "bun:test";
import { done } from "@tyto/bus";
import { startNats } from "@tyto/bus/testing";
import {
  Address,
  Domain,
  type DomainRecord,
  defaultOrganization,
  newMessageId,
  type StoredEvent,
} from "@tyto/contracts";
import { startSink } from "./testing.ts";

const recipientsMax = 200;
const killAt = 80;
const concurrency = 20;
const domain = Domain.parse("example.com");
const record: DomainRecord = {
  domain,
  organizationId: defaultOrganization,
  returnPathHost: Domain.parse("bounces.example.com"),
  keys: [],
  verified: true,
};

async function until(condition: () => boolean | Promise<boolean>, withinMs = 90_000): Promise<void> {
  for (const giveUpAtMs = performance.now() + withinMs; !(await condition()); ) {
    if (performance.now() > giveUpAtMs) throw new Error("it did not happen in time");
    await Bun.sleep(5);
  }
}

test("killed right after a 250, the mta loses nothing and repeats at most what was in flight", async () => {
  const nats = await startNats({ users: true });
  const killed = Promise.withResolvers<void>();
  const sink = await startSink({
    onMessage() {
      // This 250 is on its way when the process dies: nobody has marked it.
      if (sink.received.length === killAt) killed.resolve();
      return "250 2.0.0 taken";
    },
  });
  const events: StoredEvent[] = [];
  const recorder = await nats.connect("recorder");
  await recorder.bucket("DOMAINS").put(domain, record);
  await recorder.consumeBatches("recorder", { batchMax: 200, waitMs: 5 }, async (batch) => {
    for (const { event } of batch) {
      events.push(event);
      if (event.subject === "domain.keyed")
        await recorder.bucket("DOMAINS").put(domain, { ...record, keys: event.payload.keys });
    }
    return done;
  });

  const { url, user = "", password = "" } = nats.login("mta");
  const startMta = () =>
    Bun.spawn(["bun", `${import.meta.dir}/main.ts`], {
      env: {
        PATH: process.env.PATH ?? "",
        NATS_URL: url,
        NATS_USER: user,
        NATS_PASSWORD: password,
        HEALTH_PORT: "0",
        MTA_SECRET: "a secret of the test, long enough",
        BOUNCE_VERP_KEY: "a verp key of the test, long enough",
        MAIL_HOSTNAME: "mail.tyto.example",
        TYTO_ROUTES: `*=127.0.0.1:${sink.port}`,
        MTA_CONCURRENCY: String(concurrency),
        MTA_SITE_CONNECTIONS: String(concurrency),
        RETRY_FIRST_S: "0.5",
      },
      stdout: "ignore",
      stderr: "inherit",
    });
  let mta = startMta();
  await until(async () => (await recorder.bucket("DOMAINS").get(domain))?.keys.length === 2);

  const gateway = await nats.connect("gateway");
  const messageId = newMessageId();
  const body = Buffer.from("From: ann@example.com\r\nSubject: hi\r\n\r\nHello\r\n");
  const bodyChunks = await gateway.bodies.put(messageId, body);
  await gateway.publish("mail.accepted", {
    id: `${messageId}.accepted`,
    at: Date.now(),
    organizationId: defaultOrganization,
    messageId,
    messageIdHeader: "1@example.com",
    from: Address.parse("ann@example.com"),
    domain,
    subject: "hi",
    recipients: Array.from({ length: recipientsMax }, (_, i) => ({
      address: Address.parse(`r${i}@d${i % 40}.example`),
      role: "to" as const,
    })),
    bodyBytes: body.length,
    bodyChunks,
    attachments: 0,
    tags: [],
    metadata: {},
    expiresAt: Date.now() + 86_400_000,
  });

  await killed.promise;
  mta.kill("SIGKILL");
  await mta.exited;
  const receivedBefore = sink.received.length;
  mta = startMta();
  const deliveredOnce = () =>
    new Set(events.flatMap(({ subject, payload }) => (subject === "mail.delivered" ? [payload.id] : [])));
  await until(() => deliveredOnce().size === recipientsMax);

  const perRecipient = new Map<string, number>();
  for (const { to } of sink.received) perRecipient.set(to, (perRecipient.get(to) ?? 0) + 1);
  const repeated = sink.received.length - perRecipient.size;
  expect(perRecipient.size).toBe(recipientsMax);
  // The kill came in the middle, and something was in flight: else this proves nothing.
  expect(receivedBefore).toBeLessThan(recipientsMax);
  expect(repeated).toBeGreaterThan(0);
  expect(repeated).toBeLessThanOrEqual(concurrency);
  expect(Math.max(...perRecipient.values())).toBe(2);

  mta.kill("SIGTERM");
  expect(await mta.exited).toBe(0);
  await sink.stop();
  await nats.stop();
}, 120_000);
