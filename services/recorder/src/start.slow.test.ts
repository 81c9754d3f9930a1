/** The recorder as it runs: a real nats-server with its users, convex-local with the deployed functions, real sockets. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Bus, connectBus } from "@tyto/bus";
import { startNats, type TestNats } from "@tyto/bus/testing";
import { type StoredEvent, suppressionKey } from "@tyto/contracts";
import { api } from "@tyto/convex/api";
import { sample, webhookSecret } from "@tyto/convex/samples.testing.ts";
import { silentLog } from "@tyto/service";
import { ConvexHttpClient } from "convex/browser";
import { exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import { freePort } from "../../../test/parts/ports.ts";
import { readConfig } from "./config.ts";
import { start } from "./start.ts";
import { messages } from "./testing.ts";

const root = join(import.meta.dir, "../../..");
const adminKey = "tyto|0123456789abcdef";
const patienceMs = 300_000;

type KeyPair = { jwk: JWK; key: CryptoKey; jwks: string };
async function newKey(kid: string): Promise<KeyPair> {
  const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
  const set = { keys: [{ ...(await exportJWK(publicKey)), kid, alg: "ES256", use: "sig" }] };
  return {
    jwk: await exportJWK(privateKey),
    key: privateKey,
    jwks: `data:application/json,${encodeURIComponent(JSON.stringify(set))}`,
  };
}

let nats: TestNats;
let gateway: Bus;
let bounce: Bus;
let mta: Bus;
let dataDir: string;
let convex: RunningConvex;
let gatewayKey: KeyPair;
let recorderKey: KeyPair;
const running: Awaited<ReturnType<typeof start>>[] = [];

type RunningConvex = { url: string; siteUrl: string; kill(): Promise<void> };

const [port, sitePort] = await Promise.all([freePort(), freePort()]);

/** convex-local as its own process, so that it can die as processes do. */
async function openConvex(): Promise<RunningConvex> {
  const child = Bun.spawn([process.execPath, join(root, "packages/convex-local/src/main.ts")], {
    env: {
      ...process.env,
      CONVEX_DATA_DIR: dataDir,
      CONVEX_PORT: String(port),
      CONVEX_SITE_PORT: String(sitePort),
      CONVEX_SYNCHRONOUS: "NORMAL",
      CONVEX_ADMIN_KEY: adminKey,
      INSTANCE_SECRET: "00".repeat(32),
    },
    stdout: "pipe",
    stderr: "ignore",
  });
  // Its first line says that it is ready: functions loaded, ports open.
  await child.stdout.getReader().read();
  return {
    url: `http://127.0.0.1:${port}`,
    siteUrl: `http://127.0.0.1:${sitePort}`,
    async kill() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

async function setEnvironment() {
  const variables = {
    MTA_WEBHOOK_SECRET: webhookSecret,
    GATEWAY_JWKS: gatewayKey.jwks,
    RECORDER_JWKS: recorderKey.jwks,
  };
  const answer = await fetch(`${convex.url}/api/update_environment_variables`, {
    method: "POST",
    headers: { authorization: `Convex ${adminKey}`, "content-type": "application/json" },
    body: JSON.stringify({ changes: Object.entries(variables).map(([name, value]) => ({ name, value })) }),
  });
  if (!answer.ok) throw new Error(await answer.text());
}

async function deploy() {
  const program = [process.execPath, "--bun", "node_modules/.bin/convex", "deploy", "--typecheck", "disable"];
  const env = {
    ...process.env,
    CI: "1",
    CONVEX_SELF_HOSTED_URL: convex.url,
    CONVEX_SELF_HOSTED_ADMIN_KEY: adminKey,
  };
  const deployment = Bun.spawn(program, { cwd: root, env, stdout: "pipe", stderr: "pipe" });
  const output =
    (await new Response(deployment.stdout).text()) + (await new Response(deployment.stderr).text());
  if ((await deployment.exited) !== 0) throw new Error(output);
}

beforeAll(async () => {
  [gatewayKey, recorderKey] = await Promise.all([newKey("gateway"), newKey("recorder")]);
  dataDir = await mkdtemp(join(tmpdir(), "tyto-recorder-"));
  nats = await startNats({ users: true });
  convex = await openConvex();
  await setEnvironment();
  await deploy();
  [gateway, bounce, mta] = await Promise.all([
    nats.connect("gateway"),
    nats.connect("bounce"),
    nats.connect("mta"),
  ]);
}, patienceMs);

afterEach(async () => {
  await Promise.all(running.splice(0).map((each) => each.stop()));
});

afterAll(async () => {
  await convex.kill();
  await nats.stop();
  await rm(dataDir, { recursive: true, force: true });
});

async function startRecorder() {
  const { user = "", password = "" } = nats.login("recorder");
  const config = readConfig({
    NATS_URL: nats.url,
    NATS_USER: user,
    NATS_PASSWORD: password,
    HEALTH_PORT: "0",
    CONVEX_URL: convex.url,
    CONVEX_SITE_URL: convex.siteUrl,
    MTA_WEBHOOK_SECRET: webhookSecret,
    RECORDER_JWT_KEY: Buffer.from(JSON.stringify(recorderKey.jwk)).toString("base64url"),
  });
  const recorder = await start(config, silentLog);
  running.push(recorder);
  return recorder;
}

/** Convex as the gateway sees it. */
async function asGateway() {
  const token = await new SignJWT({ role: "service" })
    .setProtectedHeader({ alg: "ES256", kid: "gateway" })
    .setIssuer("https://gateway.tyto.internal")
    .setAudience("convex")
    .setSubject("gateway")
    .setIssuedAt()
    .setExpirationTime("15m")
    .sign(gatewayKey.key);
  const client = new ConvexHttpClient(convex.url, { skipConvexDeploymentUrlCheck: true, logger: false });
  client.setAuth(token);
  return client;
}

async function publish(events: readonly StoredEvent[]) {
  for (let from = 0; from < events.length; from += 100)
    await Promise.all(
      events.slice(from, from + 100).map(async ({ subject, payload }) => {
        const bus = subject === "mail.accepted" ? gateway : subject === "mail.received" ? bounce : mta;
        await bus.publish(subject, payload);
      }),
    );
}

async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  for (const giveUpAtMs = Date.now() + 60_000; !(await isTrue()); await Bun.sleep(20))
    if (Date.now() > giveUpAtMs) throw new Error(`did not happen within 60 s: ${what}`);
}

const statusOf = async (client: ConvexHttpClient, messageId: string) =>
  (await client.query(api.service.getMessage, { messageId }))?.message.status;
const metric = async (url: string, name: string) => {
  const text = await (await fetch(`${url}/metrics`)).text();
  return text
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
};
const idOf = (event: StoredEvent | undefined) =>
  event !== undefined && "messageId" in event.payload ? event.payload.messageId : "";

test(
  "events reach Convex, what follows from them comes back, and a received message gets its file",
  async () => {
    const recorder = await startRecorder();
    const client = await asGateway();
    // Larger than what goes with others in a request: it is streamed to an upload URL.
    const raw = new Uint8Array(3_000_000).fill(0xe9);
    const rawChunks = await bounce.raw.put("inbound1", raw);
    await publish([
      sample("mail.accepted"),
      sample("mail.bounced"),
      sample("mail.received", { rawChunks, rawBytes: raw.length }),
    ]);
    const { messageId } = sample("mail.accepted").payload;
    await until("the bounce in Convex", async () => (await statusOf(client, messageId)) === "bounced");
    const key = suppressionKey("user0@example.net");
    await until(
      "the suppression in NATS",
      async () => (await mta.bucket("SUPPRESSIONS").get(key)) !== undefined,
    );
    const reader = await connectBus({ ...nats.login("recorder"), name: "reader", log: silentLog });
    await until("the raw message dropped", () =>
      reader.raw.get("inbound1", rawChunks).then(
        () => false,
        () => true,
      ),
    );
    await reader.drain();
    await until("ready", async () => (await fetch(`${recorder.url}/readyz`)).status === 200);
  },
  patienceMs,
);

test(
  "Convex is killed and comes back: nothing is lost, readiness tells, and the place in the log holds",
  async () => {
    const recorder = await startRecorder();
    await until("ready", async () => (await fetch(`${recorder.url}/readyz`)).status === 200);
    await convex.kill();
    const events = messages(50, 1_000);
    await publish(events);
    await until("not ready", async () => (await fetch(`${recorder.url}/readyz`)).status === 503);
    // The feed of changes ends at once, a request may take a moment until it fails.
    await until("it says why", async () => {
      const { checks } = (await (await fetch(`${recorder.url}/readyz`)).json()) as {
        checks: Record<string, string>;
      };
      return checks.nats === "ok" && checks.convex !== "ok";
    });

    convex = await openConvex();
    const client = await asGateway();
    for (const event of events)
      await until("every event", async () => (await statusOf(client, idOf(event))) === "accepted");
    const key = suppressionKey("late@example.net");
    await client.mutation(api.service.addSuppression, { address: "late@example.net", key, cause: "manual" });
    await until("the feed again", async () => (await gateway.bucket("SUPPRESSIONS").get(key)) !== undefined);
    await until("ready again", async () => (await fetch(`${recorder.url}/readyz`)).status === 200);
    expect(await metric(recorder.url, "tyto_recorder_snapshots_total")).toBe(0);
  },
  patienceMs,
);

test(
  "a recorder that is stopped in the middle of 1,500 events leaves none out and none twice",
  async () => {
    const events = messages(1_500, 10_000);
    await publish(events);
    const client = await asGateway();
    const before = (await client.query(api.service.listMessages, { cursor: null, limit: 1 })).page.length;
    expect(before).toBe(1);
    const first = await startRecorder();
    await until("some applied", async () => (await metric(first.url, "tyto_recorder_events_total")) >= 200);
    await running.splice(0)[0]?.stop();
    const second = await startRecorder();
    const wanted = new Set<string>(events.map(idOf));
    const listed = async () => {
      const seen: string[] = [];
      for (let cursor: string | null = null; ; ) {
        const page: { page: { messageId: string }[]; cursor: string | null } = await client.query(
          api.service.listMessages,
          { cursor, limit: 200 },
        );
        seen.push(...page.page.map(({ messageId }) => messageId));
        cursor = page.cursor;
        if (cursor === null) return seen;
      }
    };
    await until("all of them", async () => wanted.difference(new Set(await listed())).size === 0);
    await until("nothing in hand", async () => (await metric(second.url, "tyto_recorder_lag_seconds")) === 0);
    const seen = await listed();
    expect(seen.filter((id) => wanted.has(id)).toSorted()).toEqual([...wanted].toSorted());
  },
  patienceMs,
);
