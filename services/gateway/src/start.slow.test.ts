/** The gateway as a process has it: listening, with Convex over HTTP and its own tokens, and the browser's way through it. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startNats, type TestNats } from "@tyto/bus/testing";
import { api } from "@tyto/convex/api";
import { type ConvexLocal, startConvexLocal } from "@tyto/convex-local";
import { ConfigError, silentLog } from "@tyto/service";
import { ConvexClient } from "convex/browser";
import { exportJWK, generateKeyPair } from "jose";
import { deployFixture } from "../../../packages/convex-local/fixtures/deploy.ts";
import { until } from "../../../test/parts/until.ts";
import { gatewayConfig } from "./config.ts";
import { type Gateway, start } from "./start.ts";

const rootKey = "root-key-of-the-tests-0123456789";
let nats: TestNats;
let convex: ConvexLocal;
let gateway: Gateway;
let folder: string;
let environment: Record<string, string>;

const jwks = async (kid: string) => {
  const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
  const set = { keys: [{ ...(await exportJWK(publicKey)), kid, alg: "ES256", use: "sig" }] };
  return {
    secret: Buffer.from(JSON.stringify(await exportJWK(privateKey))).toString("base64url"),
    uri: `data:text/plain;charset=utf-8;base64,${Buffer.from(JSON.stringify(set)).toString("base64")}`,
  };
};

beforeAll(async () => {
  const [own, recorder] = [await jwks("gateway"), await jwks("recorder")];
  folder = await mkdtemp(join(tmpdir(), "tyto-gateway-"));
  await Bun.write(join(folder, "200.html"), "<!doctype html><title>Tyto</title>");
  nats = await startNats({ users: true });
  convex = await startConvexLocal({
    env: {
      GATEWAY_JWKS: own.uri,
      RECORDER_JWKS: recorder.uri,
      MTA_WEBHOOK_SECRET: `whsec_${btoa("a secret of the tests, 32 bytes!")}`,
      SITE_URL: "http://localhost",
    },
  });
  await deployFixture(convex, join(import.meta.dir, "../../../convex"));
  const login = nats.login("gateway");
  environment = {
    NATS_URL: login.url,
    NATS_USER: login.user ?? "",
    NATS_PASSWORD: login.password ?? "",
    HEALTH_PORT: "0",
    GATEWAY_PORT: "0",
    WEB_ROOT: folder,
    WEB_PORT: "0",
    CONVEX_URL: convex.url,
    GATEWAY_JWT_KEY: own.secret,
    BETTER_AUTH_SECRET: "secret-of-the-tests-0123456789ab",
    MTA_API_KEY: rootKey,
    BOUNCE_VERP_KEY: "verp-key-of-the-tests-0123456789",
    MAIL_HOSTNAME: "mail.tyto.test",
    TYTO_DNS_SERVERS: "127.0.0.1:9",
  };
  gateway = await start(gatewayConfig(environment), silentLog);
}, 120_000);
afterAll(async () => {
  await gateway.stop();
  await convex.stop();
  await nats.stop();
  await rm(folder, { recursive: true });
}, 60_000);

const url = () => gateway.webUrl ?? "";
const ask = (path: string, init: RequestInit = {}) => fetch(`${url()}${path}`, init);

test("API, dashboard and health are served, each at its address", async () => {
  expect(await (await ask("/")).text()).toContain("<title>Tyto</title>");
  await until("it is ready", async () => (await fetch(`${gateway.url}/readyz`)).ok);
  expect(await (await fetch(`${gateway.healthUrl}/readyz`)).json()).toMatchObject({ service: "gateway" });
  const answer = await fetch(`${gateway.url}/v1/emails`, { headers: { authorization: `Bearer ${rootKey}` } });
  expect(answer.status).toBe(200);
  expect(await answer.json()).toEqual({ data: [], next_cursor: null });
  const metrics = await (await fetch(`${gateway.healthUrl}/metrics`)).text();
  expect(metrics).toContain('tyto_gateway_requests_total{method="GET",route="/v1/emails",status="200"');
});

test("failures that Convex names come through its HTTP API", async () => {
  const post = () =>
    fetch(`${gateway.url}/v1/api-keys/none`, {
      method: "DELETE",
      headers: { authorization: `Bearer ${rootKey}` },
    });
  expect((await post()).status).toBe(404);
});

describe("a browser", () => {
  let cookie = "";
  const origin = () => new URL(url()).origin;

  test("makes the first account, signs in again with its password, and gets a token", async () => {
    const headers = { "content-type": "application/json", origin: origin() };
    const account = { name: "Ada", email: "ada@tyto.test", password: "correct horse battery" };
    const made = await ask("/api/setup", { method: "POST", headers, body: JSON.stringify(account) });
    expect(made.status).toBe(200);
    const signedIn = await ask("/api/auth/sign-in/email", {
      method: "POST",
      headers,
      body: JSON.stringify({ email: account.email, password: account.password }),
    });
    expect(signedIn.status).toBe(200);
    cookie = signedIn.headers.get("set-cookie")?.split(";")[0] ?? "";
    expect((await ask("/api/token", { headers: { cookie } })).status).toBe(200);
  });

  test("follows Convex live through the gateway with that token, by the official client", async () => {
    // The client opens its socket itself; a browser would set Origin and the cookie.
    class OwnSocket extends WebSocket {
      constructor(address: string | URL) {
        super(address, { headers: { origin: origin(), cookie } } as unknown as string[]);
      }
    }
    const client = new ConvexClient(`${url()}/convex`, {
      webSocketConstructor: OwnSocket as unknown as typeof WebSocket,
      skipConvexDeploymentUrlCheck: true,
      unsavedChangesWarning: false,
      logger: false,
    });
    client.setAuth(
      async () =>
        ((await (await ask("/api/token", { headers: { cookie } })).json()) as { token: string }).token,
    );
    const seen: number[] = [];
    const second = Promise.withResolvers<void>();
    const stop = client.onUpdate(api.apiKeys.list, {}, (keys) => {
      // A client that connects anew is told once more what it knows.
      if (seen.at(-1) === keys.length) return;
      seen.push(keys.length);
      if (seen.length === 1)
        void ask("/v1/api-keys", {
          method: "POST",
          headers: { cookie, origin: origin(), "content-type": "application/json" },
          body: JSON.stringify({ name: "live", scopes: ["emails:send"] }),
        });
      if (keys.length === 1) second.resolve();
    });
    await second.promise;
    expect(seen).toEqual([0, 1]);
    stop();
    await client.close();
  });

  test("gets no further than the calls of the official client, and only from our own pages", async () => {
    const query = { path: "apiKeys:list", format: "json", args: [{}] };
    const init = (more: Record<string, string>) => ({
      method: "POST",
      headers: { "content-type": "application/json", cookie, ...more },
      body: JSON.stringify(query),
    });
    const own = await ask("/convex/api/query", init({ origin: origin() }));
    // Convex itself refuses: there is no token.
    expect(JSON.stringify(await own.json())).toContain("request.unauthenticated");
    expect((await ask("/convex/api/query", init({ origin: "https://evil.example" }))).status).toBe(403);
    expect((await ask("/convex/api/query", init({}))).status).toBe(403);
    for (const path of ["/api/deploy2/start_push", "/api/list_environment_variables", "/api/../version", "/"])
      expect((await ask(`/convex${path}`, init({ origin: origin() }))).status).toBe(404);
    const admin = await ask(
      "/convex/api/query",
      init({ origin: origin(), authorization: `Convex ${convex.adminKey}` }),
    );
    expect(JSON.stringify(await admin.json())).toContain("request.unauthenticated");
  });

  test("is refused a socket from another site's page", async () => {
    const refused = Promise.withResolvers<void>();
    const socket = new WebSocket(`${url().replace("http", "ws")}/convex/api/1.48.0/sync`, {
      headers: { origin: "https://evil.example" },
    } as unknown as string[]);
    socket.onclose = () => refused.resolve();
    socket.onopen = () => refused.reject(new Error("it was opened"));
    await refused.promise;
  });

  test("is refused a socket, calls and files while nobody is signed in", async () => {
    const headers = { "content-type": "application/json", origin: origin() };
    for (const [method, path] of [
      ["POST", "/convex/api/query"],
      ["GET", "/convex/api/1.48.0/sync"],
      ["GET", "/convex/api/storage/0b8fb1d4-5d1c-4b1e-8f7c-0a6f3a6a2d10"],
    ] as const)
      for (const more of [{}, { cookie: `${cookie}x` }])
        expect((await ask(path, { method, headers: { ...headers, ...more } })).status).toBe(401);
  });

  test("who announces bodies without having a key takes no room of mail", async () => {
    const { hostname, port } = new URL(url());
    const begun = await Promise.all(
      Array.from({ length: 80 }, async () => {
        const socket = connect(Number(port), hostname);
        await once(socket, "connect");
        const head = ["POST /convex/api/query HTTP/1.1", `Host: ${hostname}:${port}`, `Origin: ${origin()}`];
        socket.write(`${[...head, "Content-Length: 1048576"].join("\r\n")}\r\n\r\n{`);
        const [answer] = (await once(socket, "data")) as [Buffer];
        return { socket, status: String(answer).split(" ")[1] };
      }),
    );
    const answer = await fetch(`${gateway.url}/v1/suppressions`, {
      method: "POST",
      headers: { authorization: `Bearer ${rootKey}`, "content-type": "application/json" },
      body: JSON.stringify({ address: "bob@example.org" }),
    });
    for (const { socket, status } of begun) {
      expect(status).toBe("401");
      socket.destroy();
    }
    expect(answer.status).toBe(201);
  });
});

test("a wrong setting is named with what is wrong about it, all at once", () => {
  const wrong = {
    ...environment,
    GATEWAY_JWT_KEY: "e30",
    MTA_API_KEY: "short",
    TYTO_DNS_SERVERS: "dns.example",
  };
  try {
    gatewayConfig(wrong);
    expect.unreachable();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    expect(error.problems.map((problem) => problem.split(" ")[0]).toSorted()).toEqual([
      "GATEWAY_JWT_KEY",
      "MTA_API_KEY",
      "TYTO_DNS_SERVERS",
    ]);
  }
});
