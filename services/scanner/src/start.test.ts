import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Bus, done } from "@tyto/bus";
import { startNats, type TestNats } from "@tyto/bus/testing";
import type { StoredEvent } from "@tyto/contracts";
import { silentLog } from "@tyto/service";
import { start } from "./start.ts";
import { answer, sampleMessage, startFakeClamd, until } from "./testing.ts";

let nats: TestNats;
let gateway: Bus;
const seen: StoredEvent[] = [];
beforeAll(async () => {
  nats = await startNats({ users: true });
  gateway = await nats.connect("gateway");
  const recorder = await nats.connect("recorder");
  await recorder.consumeBatches("recorder", { batchMax: 50, waitMs: 20 }, async (batch) => {
    seen.push(...batch.map(({ event }) => event));
    return done;
  });
});
afterAll(() => nats.stop());

const subjectsOf = (messageId: string) =>
  seen
    .filter(({ payload }) => "messageId" in payload && payload.messageId === messageId)
    .map(({ subject }) => subject);

const times = { upMs: 30, downMs: 20, answerMs: 5_000, heldMs: 50 };

async function submit(body: string) {
  const message = sampleMessage();
  await gateway.bodies.put(message.messageId, Buffer.from(body));
  await gateway.publish("mail.submitted", message);
  return message.messageId;
}

test("mail is scanned; held while clamd is away; released by itself when clamd is back", async () => {
  const fake = await startFakeClamd(answer("stream: OK\0"));
  const { url, user, password } = nats.login("scanner");
  const config = {
    nats: { url, user, password },
    health: { host: "127.0.0.1", port: 0 },
    logLevel: "error" as const,
    clamd: { host: "127.0.0.1", port: fake.port },
    concurrency: 4,
  };
  const scanner = await start(config, silentLog, times);
  const readyz = async () => (await fetch(`${scanner.healthUrl}/readyz`)).status;

  const clean = await submit("clean");
  await until(() => subjectsOf(clean).includes("mail.scanned"));
  await until(async () => (await readyz()) === 200);

  fake.script = (socket) => socket.end();
  await until(async () => (await readyz()) === 503);
  const held = await submit("held");
  await until(() => subjectsOf(held).includes("mail.held"));

  // The watch scans nothing; a message has bytes.
  fake.script = (socket, whenAll) => {
    let bytes = 0;
    socket.on("data", (part) => {
      bytes += part.length;
    });
    const finding = () => (bytes > 20 ? "stream: Eicar-Test-Signature FOUND\0" : "stream: OK\0");
    void whenAll.then(() => socket.end(finding()));
  };
  await until(async () => (await readyz()) === 200);
  await until(() => subjectsOf(held).includes("mail.refused"));
  expect(subjectsOf(held)).toEqual(["mail.submitted", "mail.held", "mail.refused"]);
  await until(
    async () => (await gateway.isConnected()) && (await metric(scanner.healthUrl, 'result="held"')) === 1,
  );
  await scanner.stop();
  await fake.stop();
}, 180_000);

async function metric(url: string, label: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const line = text.split("\n").find((one) => one.startsWith("tyto_scans_total") && one.includes(label));
  return Number(line?.split(" ").at(-1));
}
