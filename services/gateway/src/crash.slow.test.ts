import { afterAll, beforeAll, expect, test } from "bun:test";
import { startNats, type TestNats } from "@tyto/bus/testing";
import { Domain, defaultOrganization, type SendAnswer } from "@tyto/contracts";
import { exportJWK, generateKeyPair } from "jose";
import { connect } from "nats";
import { freePort } from "../../../test/parts/ports.ts";

const rootKey = "root-key-of-the-tests-0123456789";
const messages = 400;
const killsAt = [60, 150, 250];
let nats: TestNats;
let environment: Record<string, string>;
let port: number;

beforeAll(async () => {
  nats = await startNats({ users: true, syncAlways: true });
  const recorder = await nats.connect("recorder");
  await recorder.bucket("DOMAINS").put("example.com", {
    domain: Domain.parse("example.com"),
    organizationId: defaultOrganization,
    returnPathHost: Domain.parse("bounces.example.com"),
    keys: [{ selector: "tyto1", algorithm: "rsa-sha256", publicKey: "UFVC", sealedPrivateKey: "sealed" }],
    verified: true,
  });
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  const login = nats.login("gateway");
  port = await freePort();
  environment = {
    PATH: process.env.PATH ?? "",
    NATS_URL: login.url,
    NATS_USER: login.user ?? "",
    NATS_PASSWORD: login.password ?? "",
    HEALTH_PORT: "0",
    GATEWAY_PORT: String(port),
    GATEWAY_JWT_KEY: Buffer.from(JSON.stringify(await exportJWK(privateKey))).toString("base64url"),
    BETTER_AUTH_SECRET: "secret-of-the-tests-0123456789ab",
    MTA_API_KEY: rootKey,
    BOUNCE_VERP_KEY: "verp-key-of-the-tests-0123456789",
    MAIL_HOSTNAME: "mail.tyto.test",
    RATE_LIMIT_PER_S: "100000",
    LOG_LEVEL: "error",
  };
}, 120_000);
afterAll(() => nats.stop(), 60_000);

const spawn = () =>
  Bun.spawn([process.execPath, "--no-env-file", `${import.meta.dir}/main.ts`], {
    env: environment,
    stdin: "ignore",
    stdout: "inherit",
    stderr: "inherit",
  });

test("every Idempotency-Key is one message, however often the gateway is killed", async () => {
  let gateway = spawn();
  const ids = new Map<number, string>();
  let repeats = 0;
  const send = async (index: number) => {
    for (;;) {
      const answer = await fetch(`http://127.0.0.1:${port}/v1/emails`, {
        method: "POST",
        headers: {
          authorization: `Bearer ${rootKey}`,
          "content-type": "application/json",
          "idempotency-key": `order-${index}`,
        },
        body: JSON.stringify({
          from: "ann@example.com",
          to: `user${index}@example.org`,
          subject: `Order ${index}`,
          text: "x".repeat(2_000),
        }),
      }).catch(() => undefined); // It was killed: ask again.
      if (answer?.status === 202) {
        ids.set(index, ((await answer.json()) as SendAnswer).id);
        return;
      }
      if (answer !== undefined && answer.status !== 429 && answer.status < 500)
        throw new Error(`${answer.status}: ${await answer.text()}`);
      repeats++;
      await Bun.sleep(50);
    }
  };
  let next = 0;
  const client = async () => {
    for (let index = next++; index < messages; index = next++) await send(index);
  };
  const killer = async () => {
    for (const at of killsAt) {
      while (ids.size < at) await Bun.sleep(1);
      gateway.kill("SIGKILL");
      await gateway.exited;
      gateway = spawn();
    }
  };
  await Promise.all([killer(), ...Array.from({ length: 16 }, client)]);

  const login = nats.login("admin");
  const admin = await connect({ servers: login.url, user: login.user ?? "", pass: login.password ?? "" });
  const streams = await admin.jetstreamManager();
  const { state } = await streams.streams.info("EVENTS");
  const accepted: string[] = [];
  for (let sequence = 1; sequence <= state.last_seq; sequence++) {
    const message = await streams.streams.getMessage("EVENTS", { seq: sequence });
    accepted.push(message.json<{ messageId: string }>().messageId);
  }
  await admin.drain();
  gateway.kill("SIGTERM");
  expect(await gateway.exited).toBe(0);
  expect(repeats).toBeGreaterThan(0);
  expect(ids.size).toBe(messages);
  expect(accepted).toHaveLength(messages);
  expect(new Set(accepted)).toEqual(new Set(ids.values()));
}, 600_000);
