/** The official clients against what networks do to them: broken lines, slow lines, old tokens. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { connect, createServer, type Server, type Socket } from "node:net";
import { BaseConvexClient, ConvexClient, ConvexHttpClient } from "convex/browser";
import { makeFunctionReference } from "convex/server";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { deployFixture } from "../../fixtures/deploy.ts";
import { type ConvexLocal, startConvexLocal } from "../index.ts";

const query = (name: string) => makeFunctionReference<"query">(name);
const mutation = (name: string) => makeFunctionReference<"mutation">(name);

const { publicKey, privateKey } = await generateKeyPair("ES256");
const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: "one", alg: "ES256" }] };
let aheadMs = 0;
let convex: ConvexLocal;
const closing: (() => unknown)[] = [];

beforeAll(async () => {
  const JWKS = `data:application/json;base64,${Buffer.from(JSON.stringify(jwks)).toString("base64")}`;
  convex = await startConvexLocal({ env: { JWKS }, now: () => Date.now() + aheadMs });
  await deployFixture(convex);
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  aheadMs = 0;
});
afterAll(() => convex.stop());

const tokenFor = (subject: string, seconds = 3600) =>
  new SignJWT({})
    .setProtectedHeader({ alg: "ES256", kid: "one" })
    .setIssuer("https://auth.test")
    .setAudience("tyto")
    .setSubject(subject)
    .setJti(crypto.randomUUID())
    .setIssuedAt(Math.floor((Date.now() + aheadMs) / 1000))
    .setExpirationTime(Math.floor((Date.now() + aheadMs) / 1000) + seconds)
    .sign(privateKey);

/** Reconnects at once: the client's own pause of a second is not what is tested. */
function hurry(client: ConvexClient | BaseConvexClient): void {
  const base = (client instanceof ConvexClient ? client.client : client) as unknown as {
    webSocketManager: { nextBackoff(reason: string): number };
  };
  base.webSocketManager.nextBackoff = () => 1;
}

function clientAt(url: string): ConvexClient {
  const client = new ConvexClient(url, { logger: false });
  hurry(client);
  closing.push(() => client.close());
  return client;
}

/** Waits for a live result that passes. */
function watch<T>(client: ConvexClient, name: string, args: Record<string, unknown>) {
  let newest: T | undefined;
  let wake = () => {};
  client.onUpdate(query(name), args, (result: T) => {
    newest = result;
    wake();
  });
  return async (isEnough: (result: T) => boolean): Promise<T> => {
    while (newest === undefined || !isEnough(newest)) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    return newest;
  };
}

type Line = {
  url: string;
  cut(): void;
  connections(): number;
  cutAfter(bytes: number): void;
  hold(): void;
  release(): void;
  /** Bytes that the server has sent through it. */
  carriedBytes(): number;
};

/** A network between client and server, which can be cut, at any byte too, and held up. */
async function line(): Promise<Line> {
  const sockets = new Set<Socket>();
  let connections = 0;
  let carriedBytes = 0;
  let bytesLeft = Number.POSITIVE_INFINITY;
  let isHeld = false;
  const downstream = new Set<Socket>();
  const server: Server = createServer((near) => {
    connections++;
    const far = connect(Number(new URL(convex.url).port), "127.0.0.1");
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => {
        sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    downstream.add(far);
    if (isHeld) far.pause();
    const pass = (from: Socket, to: Socket) =>
      from.on("data", (bytes: Buffer) => {
        const part = bytes.subarray(0, bytesLeft);
        bytesLeft -= part.byteLength;
        if (part.byteLength > 0 && !to.write(part)) {
          from.pause();
          to.once("drain", () => from.resume());
        }
        if (part.byteLength < bytes.byteLength) {
          bytesLeft = Number.POSITIVE_INFINITY;
          near.destroy();
          far.destroy();
        }
      });
    pass(near, far);
    pass(far, near);
    far.on("data", (bytes: Buffer) => {
      carriedBytes += bytes.byteLength;
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  closing.push(() => {
    cut();
    server.close();
  });
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}`,
    cut,
    connections: () => connections,
    cutAfter: (bytes) => {
      bytesLeft = bytes;
    },
    hold() {
      isHeld = true;
      for (const socket of downstream) socket.pause();
    },
    release() {
      isHeld = false;
      for (const socket of downstream) socket.resume();
    },
    carriedBytes: () => carriedBytes,
  };
}

test("mutations are applied once and in order, wherever the line is cut", async () => {
  const network = await line();
  const client = clientAt(network.url);
  await client.query(query("messages:list"), { author: "cut" });
  let cuts = 0;
  for (let round = 0; round < 40; round++) {
    // From the first byte of the request to the last of the answer, and at moments between.
    network.cutAfter(17 * round);
    cuts++;
    const results = await Promise.all(
      [0, 1, 2].map((n) =>
        client.mutation(mutation("messages:send"), { author: "cut", body: `${round}.${n}` }),
      ),
    );
    expect(new Set(results).size).toBe(3);
  }
  network.cutAfter(Number.POSITIVE_INFINITY);
  const found = (await client.query(query("messages:list"), { author: "cut" })) as { body: string }[];
  expect(found.map(({ body }) => body)).toEqual(
    Array.from({ length: cuts }, (_, round) => [0, 1, 2].map((n) => `${round}.${n}`)).flat(),
  );
  expect(network.connections()).toBeGreaterThan(20);
}, 120_000);

test("live queries go on after every cut, with what was written meanwhile", async () => {
  const network = await line();
  const client = clientAt(network.url);
  const writer = new ConvexHttpClient(convex.url);
  const until = watch<unknown[]>(client, "messages:list", { author: "again" });
  await until((rows) => rows.length === 0);
  for (let round = 1; round <= 10; round++) {
    network.cut();
    await writer.mutation(mutation("messages:send"), { author: "again", body: String(round) });
    await until((rows) => rows.length === round);
  }
  const { maxObservedTimestamp } = client.client as unknown as { maxObservedTimestamp?: unknown };
  expect(maxObservedTimestamp).toBeDefined();
}, 120_000);

test("the state of the connection is told as it changes", async () => {
  const network = await line();
  const client = clientAt(network.url);
  const states: boolean[] = [];
  let wake = () => {};
  client.subscribeToConnectionState(({ isWebSocketConnected }) => {
    if (states.at(-1) !== isWebSocketConnected) states.push(isWebSocketConnected);
    wake();
  });
  await client.query(query("messages:list"), { author: "none" });
  expect(client.connectionState()).toMatchObject({
    isWebSocketConnected: true,
    hasEverConnected: true,
    hasInflightRequests: false,
    inflightMutations: 0,
  });
  network.cut();
  while (!(states.length >= 2 && states.at(-1) === true && client.connectionState().connectionCount > 1)) {
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
  expect(states).toContain(false);
}, 120_000);

test("an action in flight when the line is cut fails, and the next one works", async () => {
  const network = await line();
  const client = clientAt(network.url);
  await client.query(query("messages:list"), { author: "none" });
  network.cutAfter(60);
  const action = makeFunctionReference<"action">("messages:viaAction");
  await expect(client.action(action, { body: "lost" })).rejects.toThrow("Connection lost");
  expect(await client.action(action, { body: "works" })).toBeString();
});

test("optimistic updates show at once and give way to the truth", async () => {
  const client = new BaseConvexClient(convex.url, () => {}, { unsavedChangesWarning: false });
  closing.push(() => client.close());
  const args = { author: "optimist" };
  const seen: (string[] | undefined)[] = [];
  let wake = () => {};
  client.addOnTransitionHandler(() => {
    const rows = client.localQueryResult("messages:list", args) as { body: string }[] | undefined;
    seen.push(rows?.map(({ body }) => body));
    wake();
  });
  client.subscribe("messages:list", args);
  while (seen.at(-1) === undefined) {
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
  const update = (store: { getQuery: CallableFunction; setQuery: CallableFunction }, body: string) => {
    const rows = (store.getQuery(query("messages:list"), args) ?? []) as object[];
    store.setQuery(query("messages:list"), args, [...rows, { body }]);
  };
  const sent = client.mutation("messages:send", { ...args, body: "true" }, {
    optimisticUpdate: (store: never) => update(store, "guess"),
  } as never);
  expect(seen.at(-1)).toEqual(["guess"]);
  await sent;
  expect(seen.at(-1)).toEqual(["true"]);
  const failing = client.mutation("messages:send", { ...args, body: 5 }, {
    optimisticUpdate: (store: never) => update(store, "never"),
  } as never);
  expect(seen.at(-1)).toEqual(["true", "never"]);
  await expect(failing).rejects.toThrow("ArgumentValidationError");
  expect(client.localQueryResult("messages:list", args)).toHaveLength(1);
});

test("an expired token is fetched anew, and mutations that waited run as the user", async () => {
  const client = clientAt(convex.url);
  let fetched = 0;
  client.setAuth(async ({ forceRefreshToken }) => {
    fetched += forceRefreshToken ? 1 : 0;
    return await tokenFor("ada", 60);
  });
  const until = watch<{ subject: string } | null>(client, "messages:whoami", {});
  expect(await until((identity) => identity !== null)).toMatchObject({ subject: "ada" });
  const before = fetched;
  aheadMs += 2 * 60_000;
  await client.mutation(mutation("messages:send"), { author: "expired", body: "x" });
  expect(fetched).toBeGreaterThan(before);
  expect(await client.query(query("messages:whoami"), {})).toMatchObject({ subject: "ada" });
}, 120_000);

test("a token that is refused is fetched anew, and after some tries the client is signed out", async () => {
  const client = clientAt(convex.url);
  const changes: boolean[] = [];
  let wake = () => {};
  let tries = 0;
  client.setAuth(
    async () => `${await tokenFor("eve")}${"x".repeat(++tries)}`,
    (isAuthenticated) => {
      changes.push(isAuthenticated);
      wake();
    },
  );
  while (changes.length === 0) {
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
  expect(changes).toEqual([false]);
  expect(tries).toBeGreaterThan(1);
  expect(await client.query(query("messages:whoami"), {})).toBeNull();
}, 120_000);

test("signing out ends what only a user may see, without a new connection", async () => {
  const network = await line();
  const client = new BaseConvexClient(network.url, () => wake(), { unsavedChangesWarning: false });
  let wake = () => {};
  closing.push(() => client.close());
  client.setAuth(
    () => tokenFor("ada"),
    () => {},
  );
  client.subscribe("messages:whoami", {});
  const until = async (isEnough: (identity: unknown) => boolean) => {
    while (!isEnough(client.localQueryResult("messages:whoami", {}))) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  await until((identity) => identity !== undefined && identity !== null);
  client.clearAuth();
  await until((identity) => identity === null);
  expect(network.connections()).toBe(1);
});

test("a client that reads slowly gets the newest result in one piece, and the server keeps little for it", async () => {
  const network = await line();
  const client = clientAt(network.url);
  const writer = new ConvexHttpClient(convex.url);
  const until = watch<{ body: string }[]>(client, "messages:list", { author: "slow" });
  await until((rows) => rows.length === 0);
  network.hold();
  const body = "€".repeat(200_000);
  const before = network.carriedBytes();
  // Each of these alone makes a Transition of up to 14 MB, all of them 180 MB.
  for (let n = 0; n < 24; n++)
    await writer.mutation(mutation("messages:send"), { author: "slow", body: `${n}${body}` });
  network.release();
  const rows = await until((found) => found.length === 24);
  expect(rows.every((row, n) => row.body === `${n}${body}`)).toBe(true);
  // What it keeps for a client it sends when the client reads again: the newest, and what was on its way.
  const keptBytes = network.carriedBytes() - before;
  expect(keptBytes).toBeGreaterThan(14e6);
  expect(keptBytes).toBeLessThan(60e6);
}, 120_000);

test("the HTTP client runs queued mutations one after another, and others at once", async () => {
  const client = new ConvexHttpClient(convex.url);
  const send = (body: string, skipQueue: boolean) =>
    client.mutation(mutation("messages:send"), { author: "queue", body }, { skipQueue });
  await Promise.all(["a", "b", "c", "d"].map((body) => send(body, false)));
  const found = (await client.query(query("messages:list"), { author: "queue" })) as { body: string }[];
  expect(found.map(({ body }) => body)).toEqual(["a", "b", "c", "d"]);
  await Promise.all(["e", "f"].map((body) => send(body, true)));
  expect(await client.query(query("messages:list"), { author: "queue" })).toHaveLength(6);
  client.setAuth(await tokenFor("ada"));
  expect(await client.query(query("messages:whoami"))).toMatchObject({ subject: "ada" });
  client.clearAuth();
  expect(await client.query(query("messages:whoami"))).toBeNull();
  await expect(client.mutation(mutation("messages:insertThenFail"))).rejects.toThrow("Could not find public");
});
