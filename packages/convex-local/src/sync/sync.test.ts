import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { ConvexClient } from "convex/browser";
import { makeFunctionReference } from "convex/server";
import type { ConvexError } from "convex/values";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { deployFixture } from "../../fixtures/deploy.ts";
import { Random } from "../../fixtures/random.ts";
import { Callers } from "../auth/caller.ts";
import { Deployment } from "../deployment.ts";
import { FunctionApi } from "../http/functions.ts";
import { type ConvexLocal, startConvexLocal } from "../index.ts";
import { decodeTs } from "../values/timestamp.ts";
import { Connection, splitText } from "./connection.ts";
import { Requests } from "./requests.ts";

const query = (name: string) => makeFunctionReference<"query">(name);
const mutation = (name: string) => makeFunctionReference<"mutation">(name);
const action = (name: string) => makeFunctionReference<"action">(name);

const { publicKey, privateKey } = await generateKeyPair("ES256");
const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: "one", alg: "ES256" }] };
let nowAheadMs = 0;
let convex: ConvexLocal;
const clients: ConvexClient[] = [];
const sockets: WebSocket[] = [];

beforeAll(async () => {
  const dataUri = `data:application/json;base64,${Buffer.from(JSON.stringify(jwks)).toString("base64")}`;
  convex = await startConvexLocal({ env: { JWKS: dataUri }, now: () => Date.now() + nowAheadMs });
  await deployFixture(convex);
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
  for (const socket of sockets.splice(0)) socket.close();
  nowAheadMs = 0;
});
afterAll(() => convex.stop());

function connect(): ConvexClient {
  const client = new ConvexClient(convex.url, { logger: false });
  clients.push(client);
  return client;
}

/** The results of a live query, in order; `next` waits for one more. */
function watch(client: ConvexClient, name: string, args: Record<string, unknown>) {
  const results: unknown[] = [];
  const waiting: (() => void)[] = [];
  const settle = (result: unknown) => {
    results.push(result);
    for (const resolve of waiting.splice(0)) resolve();
  };
  client.onUpdate(query(name), args, settle, settle);
  return {
    results,
    async until(isEnough: (newest: unknown) => boolean) {
      while (results.length === 0 || !isEnough(results.at(-1))) {
        await new Promise<void>((resolve) => waiting.push(resolve));
      }
      return results.at(-1);
    },
  };
}
const hasLength = (length: number) => (result: unknown) => Array.isArray(result) && result.length === length;

test("a live query sees a mutation of another client", async () => {
  const reader = watch(connect(), "messages:list", { author: "live" });
  await reader.until(hasLength(0));
  await connect().mutation(mutation("messages:send"), { author: "live", body: "now" });
  expect(await reader.until(hasLength(1))).toMatchObject([{ author: "live", body: "now" }]);
});

test("a write outside what a query has read does not run it again", async () => {
  const client = connect();
  const reader = watch(client, "messages:list", { author: "quiet" });
  await reader.until(hasLength(0));
  for (let i = 0; i < 10; i++)
    await client.mutation(mutation("messages:send"), { author: `other-${i}`, body: "x" });
  await client.mutation(mutation("messages:send"), { author: "quiet", body: "x" });
  await reader.until(hasLength(1));
  expect(reader.results).toHaveLength(2);
});

test("a client reads its own writes as soon as its mutation resolves", async () => {
  const client = connect();
  const reader = watch(client, "messages:list", { author: "own" });
  for (let i = 1; i <= 20; i++) {
    await client.mutation(mutation("messages:send"), { author: "own", body: String(i) });
    expect(client.client.localQueryResult("messages:list", { author: "own" })).toHaveLength(i);
  }
  expect(reader.results.at(-1)).toHaveLength(20);
});

test("mutations of one client take effect in the order in which they were sent", async () => {
  const client = connect();
  const sent = Array.from({ length: 50 }, (_, i) =>
    client.mutation(mutation("messages:send"), { author: "order", body: String(i) }),
  );
  await Promise.all(sent);
  const found = (await client.query(query("messages:list"), { author: "order" })) as { body: string }[];
  expect(found.map(({ body }) => body)).toEqual(Array.from({ length: 50 }, (_, i) => String(i)));
});

test("errors of queries, mutations and actions arrive with their data", async () => {
  const client = connect();
  const id = await client.mutation(mutation("messages:send"), { author: "e", body: "x" });
  await client.mutation(mutation("messages:remove"), { id });
  const error: unknown = await client
    .mutation(mutation("messages:like"), { id })
    .catch((thrown: unknown) => thrown);
  expect((error as ConvexError<string>).data).toMatchObject({ code: "gone" } as never);
  await expect(client.action(action("messages:none"), {})).rejects.toThrow("Could not find public function");
  const failed = watch(client, "messages:wrongReturn", {});
  expect(String(await failed.until(() => true))).toContain("ReturnsValidationError");
});

test("a live page keeps its end when a row is inserted into it", async () => {
  const client = connect();
  for (let i = 0; i < 3; i++)
    await client.mutation(mutation("messages:send"), { author: "page", body: `old ${i}` });
  const reader = watch(client, "messages:page", { paginationOpts: { numItems: 3, cursor: null } });
  type Page = { page: { body: string }[] };
  const first = (await reader.until(() => true)) as Page;
  await client.mutation(mutation("messages:send"), { author: "page", body: "new" });
  const second = (await reader.until((page) => (page as Page).page.length === 4)) as Page;
  expect(second.page.map(({ body }) => body)).toEqual(["new", ...first.page.map(({ body }) => body)]);
});

test("a token gives the socket its identity, and queries run again for it", async () => {
  const client = connect();
  const reader = watch(client, "messages:whoami", {});
  expect(await reader.until(() => true)).toBeNull();
  client.setAuth(() =>
    new SignJWT({})
      .setProtectedHeader({ alg: "ES256", kid: "one" })
      .setIssuer("https://auth.test")
      .setAudience("tyto")
      .setSubject("ada")
      .setIssuedAt()
      .setExpirationTime("1h")
      .sign(privateKey),
  );
  expect(await reader.until((identity) => identity !== null)).toMatchObject({ subject: "ada" });
});

/** A raw socket, for what the official client would never send. */
async function rawSocket() {
  const socket = new WebSocket(`${convex.url.replace("http", "ws")}/api/1.48.0/sync`);
  sockets.push(socket);
  const received: Record<string, unknown>[] = [];
  const waiting: (() => void)[] = [];
  let isClosed = false;
  const wake = () => {
    for (const resolve of waiting.splice(0)) resolve();
  };
  socket.onmessage = ({ data }) => {
    received.push(JSON.parse(String(data)));
    wake();
  };
  socket.onclose = () => {
    isClosed = true;
    wake();
  };
  await new Promise((resolve) => {
    socket.onopen = resolve;
  });
  return {
    send: (message: unknown) => socket.send(typeof message === "string" ? message : JSON.stringify(message)),
    async message(type: string) {
      for (;;) {
        const index = received.findIndex((message) => message.type === type);
        if (index >= 0) return received.splice(index, 1)[0] ?? {};
        if (isClosed) throw new Error(`The socket closed before ${type} came`);
        await new Promise<void>((resolve) => waiting.push(resolve));
      }
    },
    async closed() {
      while (!isClosed) await new Promise<void>((resolve) => waiting.push(resolve));
    },
  };
}
const connectMessage = {
  type: "Connect",
  sessionId: crypto.randomUUID(),
  connectionCount: 0,
  lastCloseReason: null,
  clientTs: 0,
};

test("a mutation sent again by the same session is applied once and answered the same", async () => {
  const sessionId = crypto.randomUUID();
  const request = {
    type: "Mutation",
    requestId: 7,
    udfPath: "messages:increment",
    args: [{ name: "twice" }],
  };
  const answers: Record<string, unknown>[] = [];
  for (let connection = 0; connection < 3; connection++) {
    const raw = await rawSocket();
    raw.send({ ...connectMessage, sessionId });
    raw.send(request);
    answers.push(await raw.message("MutationResponse"));
    const { endVersion } = (await raw.message("Transition")) as { endVersion: { ts: string } };
    expect(decodeTs(endVersion.ts)).toBeGreaterThanOrEqual(
      decodeTs(answers.at(-1)?.ts as string) ?? Infinity,
    );
  }
  expect(answers.map(({ result }) => result)).toEqual(answers.map(() => ({ $integer: "AQAAAAAAAAA=" })));
});

test("transitions continue one another, and carry every version that was asked for", async () => {
  const raw = await rawSocket();
  raw.send(connectMessage);
  let version: unknown = { querySet: 0, identity: 0, ts: "AAAAAAAAAAA=" };
  for (let round = 0; round < 10; round++) {
    const modifications = [
      { type: "Add", queryId: round, udfPath: "messages:list", args: [{ author: "none" }] },
    ];
    raw.send({ type: "ModifyQuerySet", baseVersion: round, newVersion: round + 1, modifications });
    raw.send({ type: "Authenticate", tokenType: "None", baseVersion: round });
  }
  for (;;) {
    const transition = (await raw.message("Transition")) as Record<
      string,
      { querySet: number; identity: number }
    >;
    expect(transition.startVersion).toEqual(version as never);
    version = transition.endVersion;
    if (transition.endVersion?.querySet === 10 && transition.endVersion.identity === 10) return;
  }
});

test("an expired token is noticed, and the client told", async () => {
  const raw = await rawSocket();
  raw.send(connectMessage);
  const value = await new SignJWT({})
    .setProtectedHeader({ alg: "ES256", kid: "one" })
    .setIssuer("https://auth.test")
    .setAudience("tyto")
    .setSubject("ada")
    .setIssuedAt()
    .setExpirationTime("1h")
    .sign(privateKey);
  raw.send({ type: "Authenticate", tokenType: "User", baseVersion: 0, value });
  await raw.message("Transition");
  nowAheadMs = 2 * 3600_000;
  raw.send({ type: "Mutation", requestId: 1, udfPath: "messages:increment", args: [{ name: "late" }] });
  expect(await raw.message("AuthError")).toMatchObject({ authUpdateAttempted: false, baseVersion: 1 });
  await raw.closed();
});

const fatal: [string, unknown[]][] = [
  ["text that is no JSON", ["{"]],
  ["a message of no known type", [{ type: "Hello" }]],
  ["a request before Connect", [{ type: "Mutation", requestId: 0, udfPath: "x:y", args: [{}] }]],
  ["a second Connect", [connectMessage, connectMessage]],
  [
    "a wrong query set version",
    [connectMessage, { type: "ModifyQuerySet", baseVersion: 3, newVersion: 4, modifications: [] }],
  ],
  ["a wrong identity version", [connectMessage, { type: "Authenticate", tokenType: "None", baseVersion: 1 }]],
  [
    "a timestamp of the future",
    [{ ...connectMessage, maxObservedTimestamp: "////////fw==".replace("fw==", "/38=") }],
  ],
  [
    "the removal of a query that is not there",
    [
      connectMessage,
      {
        type: "ModifyQuerySet",
        baseVersion: 0,
        newVersion: 1,
        modifications: [{ type: "Remove", queryId: 1 }],
      },
    ],
  ],
];
test.each(fatal)("%s is answered with FatalError and the end of the socket", async (_name, messages) => {
  const raw = await rawSocket();
  for (const message of messages) raw.send(message);
  expect(await raw.message("FatalError")).toHaveProperty("error");
  await raw.closed();
});

test("a bad admin key or token is refused without an identity", async () => {
  for (const credentials of [
    { tokenType: "Admin", value: "tyto|00" },
    { tokenType: "User", value: "a.b.c" },
  ]) {
    const raw = await rawSocket();
    raw.send(connectMessage);
    raw.send({ type: "Authenticate", baseVersion: 0, ...credentials });
    expect(await raw.message("AuthError")).toMatchObject({ authUpdateAttempted: true, baseVersion: 0 });
    await raw.closed();
  }
});

test("random messages never stop the server", async () => {
  const random = new Random(4711);
  const types = ["Connect", "ModifyQuerySet", "Mutation", "Action", "Authenticate", "Event", "", null, 5];
  const values = [0, -1, 1.5, 2 ** 53, "", "messages:list", [], [{}], {}, null, true, "\ud800", [[[[]]]]];
  const names = [
    "sessionId",
    "baseVersion",
    "newVersion",
    "modifications",
    "requestId",
    "udfPath",
    "args",
    "value",
    "tokenType",
  ];
  for (let round = 0; round < 60; round++) {
    const raw = await rawSocket();
    if (random.below(2) === 0) raw.send(connectMessage);
    for (let i = 0; i < 5; i++) {
      const message = Object.fromEntries(
        names.filter(() => random.below(2) === 0).map((name) => [name, random.pick(values)]),
      );
      raw.send(random.below(8) === 0 ? random.string(20) : { type: random.pick(types), ...message });
    }
  }
  const client = connect();
  expect(await client.query(query("messages:list"), { author: "nobody" })).toEqual([]);
});

test("a client that hears nothing is pinged, and one that is spoken to is not", async () => {
  const sent: string[] = [];
  const deployment = new Deployment({
    dataDir: null,
    synchronous: "OFF",
    instanceName: "test",
    instanceSecret: "00".repeat(32),
    now: () => Date.now(),
    log: () => {},
  });
  const connection = new Connection(
    deployment,
    new Callers("test|00", deployment.tokens),
    new FunctionApi(deployment, false),
    new Requests(deployment.store),
    { requestId: "r", ip: null, userAgent: null, scheduledFunctionId: null, authToken: null },
    null,
    { send: (text) => sent.push(text), unsentBytes: () => 0, close: () => {} },
  );
  connection.tick(60_000);
  expect(sent).toEqual([]);
  connection.tick(0);
  expect(sent).toEqual(['{"type":"Ping"}']);
  connection.closed();
  connection.tick(0);
  expect(sent).toHaveLength(1);
  await deployment.stop();
});

test("a Transition tells the time here, and how far the client's clock is from it", async () => {
  const raw = await rawSocket();
  raw.send({ ...connectMessage, clientTs: Date.now() + 3600_000 });
  raw.send({ type: "ModifyQuerySet", baseVersion: 0, newVersion: 1, modifications: [] });
  const { clientClockSkew, serverTs } = (await raw.message("Transition")) as Record<string, number>;
  expect(Math.abs((clientClockSkew ?? 0) - 3600_000)).toBeLessThan(60_000);
  expect(Math.abs((serverTs ?? 0) / 1e6 - Date.now())).toBeLessThan(60_000);
});

test("a result of many megabytes arrives in pieces", async () => {
  const client = connect();
  const body = "é".repeat(250_000);
  for (let i = 0; i < 24; i++) await client.mutation(mutation("messages:send"), { author: "large", body });
  const raw = await rawSocket();
  raw.send(connectMessage);
  const modifications = [{ type: "Add", queryId: 0, udfPath: "messages:list", args: [{ author: "large" }] }];
  raw.send({ type: "ModifyQuerySet", baseVersion: 0, newVersion: 1, modifications });
  const parts: string[] = [];
  for (let total = 2; parts.length < total; ) {
    const { chunk, partNumber, totalParts } = (await raw.message("TransitionChunk")) as Record<string, never>;
    expect(partNumber).toBe(parts.length as never);
    parts.push(chunk as unknown as string);
    total = totalParts as unknown as number;
  }
  expect(parts.length).toBeGreaterThan(1);
  expect((JSON.parse(parts.join("")) as { type: string }).type).toBe("Transition");
  const found = (await client.query(query("messages:list"), { author: "large" })) as { body: string }[];
  expect(found.every((message) => message.body === body)).toBe(true);
});

test("text is cut into parts that fit together again, and never through a character", () => {
  const random = new Random(6);
  for (let round = 0; round < 500; round++) {
    const text = random.string(30);
    const parts = splitText(text, 4 + random.below(5));
    expect(parts.join("")).toBe(text);
    expect(parts.every((part) => Buffer.byteLength(part) <= 8)).toBe(true);
    expect(parts.every((part) => part.isWellFormed())).toBe(true);
  }
});
