import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Bus, done } from "@tyto/bus";
import { startNats, type TestNats } from "@tyto/bus/testing";
import type { StoredEvent } from "@tyto/contracts";
import { silentLog } from "@tyto/service";
import { createClamd } from "./clamd.ts";
import { start } from "./start.ts";
import { eicar, type RealClamd, sampleMessage, startClamd, until, withAttachment } from "./testing.ts";

let nats: TestNats;
let gateway: Bus;
let clamd: RealClamd;
const seen: StoredEvent[] = [];

beforeAll(async () => {
  nats = await startNats();
  clamd = await startClamd("8M");
  gateway = await nats.connect("gateway");
  const recorder = await nats.connect("recorder");
  await recorder.consumeBatches("recorder", { batchMax: 50, waitMs: 20 }, async (batch) => {
    seen.push(...batch.map(({ event }) => event));
    return done;
  });
}, 120_000);
afterAll(async () => {
  await clamd.stop();
  await nats.stop();
});

const eventsOf = (messageId: string) =>
  seen.filter(({ payload }) => "messageId" in payload && payload.messageId === messageId);
const subjectsOf = (messageId: string) => eventsOf(messageId).map(({ subject }) => subject);
const has = (messageId: string, subject: string) =>
  until(() => subjectsOf(messageId).includes(subject as never), 60_000);

async function submit(body: Uint8Array) {
  const bodyChunks = Math.max(1, Math.ceil(body.length / 524_288));
  const message = sampleMessage({ bodyBytes: body.length, bodyChunks });
  await gateway.bodies.put(message.messageId, body);
  await gateway.publish("mail.submitted", message);
  return message;
}

test("real clamd: EICAR in an attachment is refused by name, clean mail passes, too large says so, an outage holds and releases", async () => {
  const scanner = await start(
    {
      nats: { url: nats.url, user: undefined, password: undefined },
      health: { host: "127.0.0.1", port: 0 },
      logLevel: "error",
      clamd: { host: "127.0.0.1", port: clamd.port },
      concurrency: 4,
    },
    silentLog,
    { upMs: 300, downMs: 100, answerMs: 1_000, heldMs: 500 },
  );

  const infected = await submit(withAttachment(eicar));
  const clean = await submit(withAttachment("nothing to see"));
  const huge = await submit(withAttachment(new Uint8Array(9_000_000)));
  await has(infected.messageId, "mail.refused");
  expect(eventsOf(infected.messageId).at(-1)?.payload).toMatchObject({
    reason: "content.infected",
    signature: expect.stringContaining("Eicar-Test-Signature"),
  });
  // The body goes after the event is stored.
  await until(() =>
    gateway.bodies.get(infected.messageId, 1).then(
      () => false,
      (error: unknown) => String(error).includes("gone"),
    ),
  );
  await has(clean.messageId, "mail.scanned");
  expect(eventsOf(clean.messageId).at(-1)?.payload).toMatchObject({
    engine: expect.stringContaining("ClamAV"),
  });
  await has(huge.messageId, "mail.refused");
  expect(eventsOf(huge.messageId).at(-1)?.payload).toMatchObject({ reason: "content.too-large" });

  // Hung, then continued.
  process.kill(clamd.pid(), "SIGSTOP");
  await until(async () => (await fetch(`${scanner.healthUrl}/readyz`)).status === 503);
  const waiting = await submit(withAttachment("while it hangs"));
  await has(waiting.messageId, "mail.held");
  process.kill(clamd.pid(), "SIGCONT");
  await has(waiting.messageId, "mail.scanned");

  // Killed in the middle of scans, away for a while, back.
  const batch = await Promise.all(
    Array.from({ length: 12 }, (_, i) => submit(withAttachment(Buffer.alloc(4_000_000, 65 + i)))),
  );
  await clamd.kill();
  batch.push(await submit(withAttachment("while it is away")));
  await has(batch.at(-1)?.messageId ?? "", "mail.held");
  await clamd.restart();
  for (const { messageId } of batch) await has(messageId, "mail.scanned");
  for (const { messageId } of batch) {
    const subjects = subjectsOf(messageId);
    expect(subjects.filter((subject) => subject === "mail.scanned").length).toBe(1);
    expect(subjects.filter((subject) => subject === "mail.held").length).toBeLessThanOrEqual(1);
  }
  await scanner.stop();
}, 600_000);

test("a clamd that hangs in the middle of a scan is a failure at the deadline", async () => {
  const client = createClamd("127.0.0.1", clamd.port);
  process.kill(clamd.pid(), "SIGSTOP");
  const outcome = await client.scan(Buffer.alloc(5_000_000), 500);
  process.kill(clamd.pid(), "SIGCONT");
  expect(outcome.kind).toBe("failed");
});
