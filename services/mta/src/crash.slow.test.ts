/**
 * The process itself, with a real nats-server: what is left after either of them dies in the middle of sending. What a
 * dead process held comes back after the durables' `ackWaitMs`; most of the time here is that wait.
 */
import { afterEach, beforeEach, expect, test } from "bun:test";
import type { Bus } from "@tyto/bus";
import { startNats, type TestNats } from "@tyto/bus/testing";
import { Address, defaultOrganization, newMessageId } from "@tyto/contracts";
import { record, setUpSender } from "./sender.testing.ts";
import { type Received, type Sink, startSink } from "./testing.ts";

const recipientsMax = 200;
const crashAt = 80;
const concurrency = 20;
const { domain } = record;

let nats: TestNats;
let sink: Sink;
let recorder: Bus;
let mta: Bun.Subprocess;
/** The end of what the mta has logged. */
let printed = "";
let delivered: Set<string>;
let crash: { promise: Promise<void>; resolve: () => void };
/** The sink's answer to each message; the one number `crashAt` resolves `crash` while its 250 is on its way. */
let answer: (message: Received) => Promise<string> | string;

beforeEach(async () => {
  crash = Promise.withResolvers<void>();
  delivered = new Set();
  answer = () => "250 2.0.0 taken";
  nats = await startNats({ users: true, syncAlways: true });
  sink = await startSink({
    onMessage(message) {
      if (sink.received.length === crashAt) crash.resolve();
      return answer(message);
    },
  });
  recorder = await nats.connect("recorder");
  await setUpSender(recorder, (event) => {
    if (event.subject === "mail.delivered") delivered.add(event.payload.deliveryId);
  });
  mta = startMta();
  await until(async () => (await recorder.bucket("DOMAINS").get(domain))?.keys.length === 2);
});
afterEach(async () => {
  mta.kill("SIGTERM");
  const [code] = await Promise.all([mta.exited, sink.stop()]);
  await nats.stop();
  expect(code).toBe(0);
});

function startMta(): Bun.Subprocess {
  const { url, user = "", password = "" } = nats.login("mta");
  const child = Bun.spawn(["bun", `${import.meta.dir}/main.ts`], {
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
    stdout: "pipe",
    stderr: "inherit",
  });
  void keep(child.stdout);
  return child;
}

/** Reads all of it, so that the process does not wait for its reader. */
async function keep(stdout: ReadableStream<Uint8Array>): Promise<void> {
  const decoder = new TextDecoder();
  printed = "";
  for await (const chunk of stdout)
    printed = (printed + decoder.decode(chunk, { stream: true })).slice(-4_000);
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (const giveUpAtMs = performance.now() + 90_000; !(await condition()); ) {
    if (performance.now() > giveUpAtMs) throw new Error("it did not happen in time");
    await Bun.sleep(5);
  }
}

async function submit(): Promise<void> {
  const gateway = await nats.connect("gateway");
  const messageId = newMessageId();
  const body = Buffer.from("From: ann@example.com\r\nSubject: hi\r\n\r\nHello\r\n");
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
    bodyChunks: await gateway.bodies.put(messageId, body),
    attachments: 0,
    tags: [],
    metadata: {},
    expiresAt: Date.now() + 86_400_000,
  });
}

/** How often each recipient got the message. */
function tally() {
  const copies = new Map<string, number>();
  for (const { to } of sink.received) copies.set(to, (copies.get(to) ?? 0) + 1);
  return { recipients: copies.size, repeated: sink.received.length - copies.size };
}

test("killed right after a 250, the mta loses nothing and repeats at most what was in flight", async () => {
  await submit();
  await crash.promise;
  mta.kill("SIGKILL");
  await mta.exited;
  const before = sink.received.length;
  mta = startMta();
  await until(() => delivered.size === recipientsMax);
  const { recipients, repeated } = tally();
  expect(recipients).toBe(recipientsMax);
  // The kill came in the middle, and something was in flight: else this proves nothing.
  expect(before).toBeLessThan(recipientsMax);
  expect(repeated).toBeGreaterThan(0);
  expect(repeated).toBeLessThanOrEqual(concurrency);
}, 300_000);

test("with nats-server killed in the middle, outcomes wait in the mta, and nothing is lost or sent twice", async () => {
  await submit();
  await crash.promise;
  await nats.kill();
  await nats.restart();
  await until(() => delivered.size === recipientsMax);
  expect(tally()).toEqual({ recipients: recipientsMax, repeated: 0 });
}, 300_000);

test("told to stop in the middle, the mta finishes what it has begun and gives back the rest", async () => {
  answer = async () => {
    await crash.promise;
    return "250 2.0.0 taken";
  };
  await submit();
  await until(() => sink.received.length === concurrency);
  mta.kill("SIGTERM");
  await until(() => printed.includes("service.stopping"));
  // The sink answers only now: the mta has been waiting for these replies and goes on to.
  crash.resolve();
  expect(await mta.exited).toBe(0);
  expect(sink.received.length).toBe(concurrency);
  await until(() => delivered.size === concurrency);
  mta = startMta();
  await until(() => delivered.size === recipientsMax);
  expect(tally()).toEqual({ recipients: recipientsMax, repeated: 0 });
}, 300_000);
