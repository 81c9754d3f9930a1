import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Bus } from "@tyto/bus";
import { startNats, type TestNats } from "@tyto/bus/testing";
import { appliedEvents, webhookSecret } from "@tyto/convex/samples.testing.ts";
import { silentLog } from "@tyto/service";
import { exportJWK, generateKeyPair } from "jose";
import { connect, type NatsConnection } from "nats";
import { readConfig } from "./config.ts";
import { start } from "./start.ts";
import { messages, startSite, type TestSite } from "./testing.ts";

let nats: TestNats;
let site: TestSite;
let gateway: Bus;
let admin: NatsConnection;
let recorder: Awaited<ReturnType<typeof start>>;

beforeAll(async () => {
  nats = await startNats({ users: true });
  site = startSite();
  gateway = await nats.connect("gateway");
  const [asRecorder, asAdmin] = [nats.login("recorder"), nats.login("admin")];
  admin = await connect({ servers: nats.url, user: asAdmin.user ?? "", pass: asAdmin.password ?? "" });
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  const config = readConfig({
    NATS_URL: nats.url,
    NATS_USER: asRecorder.user ?? "",
    NATS_PASSWORD: asRecorder.password ?? "",
    HEALTH_PORT: "0",
    // Nobody listens there: events must flow without the change log.
    CONVEX_URL: "http://127.0.0.1:9",
    CONVEX_SITE_URL: site.url,
    MTA_WEBHOOK_SECRET: webhookSecret,
    RECORDER_JWT_KEY: Buffer.from(JSON.stringify(await exportJWK(privateKey))).toString("base64url"),
  });
  recorder = await start(config, silentLog);
});

afterAll(async () => {
  await recorder.stop();
  await admin.close();
  await site.stop();
  await nats.stop();
});

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  for (const giveUpAtMs = Date.now() + 30_000; !(await isTrue()); await Bun.sleep(5))
    if (Date.now() > giveUpAtMs) throw new Error("did not happen within 30 s");
}

const recorded = async () => (await appliedEvents(site.convex)).length;
const manager = () => admin.jetstreamManager({ timeout: 30_000 });
/** By the stream's own end: what the durable says to be waiting lags behind what was stored. */
const unsettled = async () => {
  const { state } = await (await manager()).streams.info("EVENTS");
  const { ack_floor } = await (await manager()).consumers.info("EVENTS", "recorder");
  return state.last_seq - ack_floor.stream_seq;
};

test("events go in batches, and what Convex refuses goes to the dead letters alone", async () => {
  const events = messages(60);
  const refused = events[30]?.payload.id ?? "";
  site.interfere = (path, body) =>
    path === "/events" && body.includes(refused)
      ? Response.json({ detail: "events[0] is from another release" }, { status: 400 })
      : undefined;
  await Promise.all(
    events.map(({ payload }) =>
      "recipients" in payload ? gateway.publish("mail.accepted", payload) : undefined,
    ),
  );
  await until(async () => (await recorded()) === 59 && (await unsettled()) === 0);
  expect(Math.max(...site.batches)).toBeGreaterThan(10);
  const dead = await (await manager()).streams.getMessage("DEAD", { last_by_subj: "dead.EVENTS.recorder" });
  expect(dead.json<{ id: string }>()).toMatchObject({ id: refused });
  expect((await (await manager()).streams.info("DEAD")).state.messages).toBe(1);
});

test("while Convex is away events stay in the stream, and readiness names the reason", async () => {
  const before = await recorded();
  site.interfere = () => new Response("away", { status: 502 });
  for (const { payload } of messages(5, 500))
    if ("recipients" in payload) await gateway.publish("mail.accepted", payload);
  const readiness = async () => (await (await fetch(`${recorder.url}/readyz`)).json()) as { checks: object };
  await until(
    async () =>
      "convex" in (await readiness()).checks && (await fetch(`${recorder.url}/readyz`)).status === 503,
  );
  await until(async () => JSON.stringify(await readiness()).includes("502 away"));
  expect(await recorded()).toBe(before);
  site.interfere = () => undefined;
  await until(async () => (await recorded()) === before + 5 && (await unsettled()) === 0);
  expect((await readiness()).checks).toMatchObject({ nats: "ok", convex: "ok" });
});
