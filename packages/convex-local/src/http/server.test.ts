import { afterAll, beforeAll, expect, test } from "bun:test";
import { ConvexHttpClient } from "convex/browser";
import { makeFunctionReference } from "convex/server";
import { ConvexError } from "convex/values";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { deployFixture } from "../../fixtures/deploy.ts";
import { Random } from "../../fixtures/random.ts";
import { type ConvexLocal, startConvexLocal } from "../index.ts";

const query = (name: string) => makeFunctionReference<"query">(name);
const mutation = (name: string) => makeFunctionReference<"mutation">(name);
const action = (name: string) => makeFunctionReference<"action">(name);

const issuer = "https://auth.test";
const { publicKey, privateKey } = await generateKeyPair("ES256");
const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: "one", alg: "ES256", use: "sig" }] };
const tokenFor = (subject: string, audience = "tyto", expires = "1h") =>
  new SignJWT({ role: "admin", email_verified: true, org: { name: "Tyto" } })
    .setProtectedHeader({ alg: "ES256", kid: "one" })
    .setIssuer(issuer)
    .setSubject(subject)
    .setAudience(audience)
    .setIssuedAt()
    .setExpirationTime(expires)
    .sign(privateKey);

let convex: ConvexLocal;
let client: ConvexHttpClient;
beforeAll(async () => {
  const dataUri = `data:text/plain;charset=utf-8;base64,${Buffer.from(JSON.stringify(jwks)).toString("base64")}`;
  convex = await startConvexLocal({ env: { JWKS: dataUri } });
  await deployFixture(convex);
  client = new ConvexHttpClient(convex.url);
});
afterAll(() => convex.stop());

const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(`${convex.url}${path}`, { method: "POST", body: JSON.stringify(body), headers });

test("the official HTTP client calls queries, mutations and actions", async () => {
  const id = await client.mutation(mutation("messages:send"), { author: "http", body: "hello" });
  expect(await client.query(query("messages:list"), { author: "http" })).toMatchObject([
    { _id: id, body: "hello" },
  ]);
  expect(await client.action(action("messages:viaAction"), { body: "x" })).toBeString();
  expect(await client.mutation(mutation("messages:increment"), { name: "http" })).toBe(1n);
});

test("the official HTTP client gets the data of a ConvexError", async () => {
  const id = await client.mutation(mutation("messages:send"), { author: "error", body: "x" });
  await client.mutation(mutation("messages:remove"), { id });
  const error: unknown = await client
    .mutation(mutation("messages:like"), { id })
    .catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ConvexError);
  expect((error as ConvexError<string>).data).toEqual({ code: "gone", id } as never);
});

test("internal functions are hidden from the public and open to the admin", async () => {
  await expect(client.query(query("messages:secret"))).rejects.toThrow(
    "Could not find public function for 'messages:secret'",
  );
  const body = { path: "messages:secret", args: {}, format: "json" };
  expect((await post("/api/function", body)).status).toBe(401);
  expect((await post("/api/function", body, { authorization: "Convex tyto|00" })).status).toBe(403);
  const answer = await post("/api/function", body, { authorization: `Convex ${convex.adminKey}` });
  expect(await answer.json()).toMatchObject({ status: "success", value: "internal" });
});

test("an admin can act as a user", async () => {
  const admin = new ConvexHttpClient(convex.url) as ConvexHttpClient & {
    setAdminAuth(key: string, identity?: object): void;
  };
  admin.setAdminAuth(convex.adminKey, { subject: "ada", issuer: "https://x.test", tokenIdentifier: "x|ada" });
  expect(await admin.query(query("messages:whoami"))).toMatchObject({
    subject: "ada",
    issuer: "https://x.test",
  });
});

test("every kind of function knows the user, and so does what it calls, over HTTP and as an admin acting for one", async () => {
  const user = new ConvexHttpClient(convex.url, { auth: await tokenFor("ada") });
  const admin = new ConvexHttpClient(convex.url) as ConvexHttpClient & {
    setAdminAuth(key: string, identity?: object): void;
  };
  admin.setAdminAuth(convex.adminKey, {
    subject: "ada",
    issuer: "https://x.test",
    tokenIdentifier: "custom",
  });
  const nobody = new ConvexHttpClient(convex.url);
  for (const [caller, subject] of [
    [user, "ada"],
    [admin, "ada"],
    [nobody, null],
  ] as const) {
    expect(await caller.query(query("identity:inQuery"))).toEqual([subject, subject]);
    expect(await caller.mutation(mutation("identity:inMutation"))).toEqual([subject, subject]);
    expect(await caller.action(action("identity:inAction"))).toEqual([subject, subject]);
  }
  expect(await admin.query(query("messages:whoami"))).toMatchObject({ tokenIdentifier: "custom" });
});

test("a token of a customJwt provider becomes the identity, with its claims", async () => {
  const user = new ConvexHttpClient(convex.url, { auth: await tokenFor("ada") });
  expect(await user.query(query("messages:whoami"))).toEqual({
    tokenIdentifier: `${issuer}|ada`,
    issuer,
    subject: "ada",
    emailVerified: true,
    role: "admin",
    "org.name": "Tyto",
  });
});

test("a token for others, an expired one and an invented one are refused", async () => {
  for (const token of [await tokenFor("ada", "others"), await tokenFor("ada", "tyto", "-1s"), "a.b.c", ""]) {
    const answer = await post(
      "/api/query",
      { path: "messages:whoami" },
      { authorization: `Bearer ${token}` },
    );
    expect(answer.status).toBe(401);
    expect(await answer.json()).toMatchObject({ code: "InvalidToken" });
  }
});

test("plain JSON is answered to those who do not ask for Convex's own", async () => {
  const answer = await post("/api/mutation", { path: "messages:increment", args: { name: "plain" } });
  expect(await answer.json()).toEqual({ status: "success", value: "1", logLines: [] });
  const search = new URLSearchParams({ path: "messages:list", args: '{"author":"nobody"}' });
  const get = await fetch(`${convex.url}/api/query?${search}`);
  expect(await get.json()).toEqual({ status: "success", value: [], logLines: [] });
  const run = await post("/api/run/messages/increment", { args: { name: "plain" } });
  expect(await run.json()).toEqual({ status: "success", value: "2", logLines: [] });
});

test("bad requests get a clear answer and change nothing", async () => {
  const cases: [string, BodyInit, number, string][] = [
    ["/api/query", "{", 400, "InvalidJson"],
    ["/api/query", "[]", 400, "InvalidBody"],
    ["/api/query", '{"path":5}', 400, "InvalidBody"],
    ["/api/query", '{"path":"messages:list","args":[{},{}]}', 400, "InvalidArguments"],
    ["/api/query", '{"path":"messages:list","format":"xml"}', 400, "InvalidBody"],
    ["/api/nothing", "{}", 404, "NotFound"],
    ["/api/deploy2/start_push", "{}", 401, "Unauthorized"],
    ["/api/update_environment_variables", '{"changes":[]}', 401, "Unauthorized"],
    ["/api/storage/upload", "bytes", 401, "StorageTokenInvalid"],
    ["/api/storage/upload?token=a.b", "bytes", 401, "StorageTokenInvalid"],
  ];
  for (const [path, body, status, code] of cases) {
    const answer = await fetch(`${convex.url}${path}`, { method: "POST", body });
    expect({ path, status: answer.status, body: await answer.json() }).toMatchObject({
      path,
      status,
      body: { code },
    });
  }
  const wrong = await post("/api/query", { path: "messages:list", args: { $x: 1 } });
  expect(await wrong.json()).toMatchObject({
    status: "error",
    errorMessage: expect.stringContaining("reserved"),
  });
});

test("a browser of any origin may call the API", async () => {
  const headers = {
    origin: "https://app.test",
    "access-control-request-headers": "content-type,convex-client",
  };
  const preflight = await fetch(`${convex.url}/api/query`, { method: "OPTIONS", headers });
  expect(preflight.status).toBe(204);
  expect(preflight.headers.get("access-control-allow-origin")).toBe("https://app.test");
  expect(preflight.headers.get("access-control-allow-headers")).toBe("content-type,convex-client");
  const answer = await post("/api/query", { path: "messages:list" }, { origin: "https://app.test" });
  expect(answer.headers.get("access-control-allow-origin")).toBe("https://app.test");
});

test("HTTP actions answer on their own port and under /http", async () => {
  for (const base of [convex.siteUrl, `${convex.url}/http`]) {
    const headers = { authorization: `Bearer ${await tokenFor("ada")}` };
    const echo = await fetch(`${base}/echo`, { method: "POST", body: "hi", headers });
    expect(await echo.json()).toEqual({ body: "hi", subject: "ada" });
    const foreign = await fetch(`${base}/echo`, {
      method: "POST",
      body: "",
      headers: { authorization: "Bearer x" },
    });
    expect(await foreign.json()).toEqual({ body: "", subject: null });
    expect((await fetch(`${base}/send/word`)).status).toBe(201);
    const head = await fetch(`${base}/send/word`, { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([201, ""]);
    const missing = await fetch(`${base}/nowhere`);
    expect([missing.status, await missing.text()]).toEqual([404, "No HttpAction routed for /nowhere"]);
    const failed = await fetch(`${base}/fail`);
    expect(failed.status).toBe(500);
    expect(await failed.json()).toEqual({
      code: expect.stringMatching(/^\[Request ID: [0-9a-f]{16}\] Server Error: Uncaught Error: on purpose$/),
      trace: expect.stringMatching(/^Uncaught Error: on purpose\n +at /),
    });
  }
});

// The first lies in the database, the second in a file of its own.
test.each([5_000, 300_000])(
  "a file of %d bytes is uploaded, read whole and in ranges, and gone after deletion",
  async (size) => {
    const target: string = await client.mutation(mutation("files:uploadUrl"));
    const bytes = Uint8Array.from({ length: size }, (_, at) => (at * 31) % 251);
    const digest = new Bun.CryptoHasher("sha256").update(bytes).digest("base64");
    const wrong = await fetch(target, { method: "POST", body: bytes, headers: { digest: "sha-256=AAAA" } });
    expect([wrong.status, await wrong.json()]).toMatchObject([400, { code: "Sha256Mismatch" }]);
    const headers = { "content-type": "image/png", digest: `sha-256=${digest}` };
    const { storageId } = (await (await fetch(target, { method: "POST", body: bytes, headers })).json()) as {
      storageId: string;
    };
    const url: string = await client.query(query("files:url"), { id: storageId });
    const whole = await fetch(url);
    expect(whole.headers.get("content-type")).toBe("image/png");
    expect(new Uint8Array(await whole.arrayBuffer())).toEqual(bytes);
    const part = await fetch(url, { headers: { range: "bytes=10-19" } });
    expect([part.status, part.headers.get("content-range")]).toEqual([206, `bytes 10-19/${size}`]);
    expect(new Uint8Array(await part.arrayBuffer())).toEqual(bytes.slice(10, 20));
    expect((await fetch(url, { headers: { range: `bytes=${size}-` } })).status).toBe(416);
    await client.mutation(mutation("files:remove"), { id: storageId });
    expect((await fetch(url)).status).toBe(404);
    expect(await client.query(query("files:url"), { id: storageId })).toBeNull();
  },
);

test("environment variables change for running functions at once", async () => {
  const set = (value: string | null) =>
    post(
      "/api/update_environment_variables",
      { changes: [{ name: "COLOUR", value }] },
      { authorization: `Convex ${convex.adminKey}` },
    );
  expect((await set("red")).status).toBe(200);
  expect(await client.query(query("messages:environment"), { name: "COLOUR" })).toBe("red");
  await set(null);
  expect(await client.query(query("messages:environment"), { name: "COLOUR" })).toBeNull();
  expect(await client.query(query("messages:environment"), { name: "CONVEX_SITE_URL" })).toBe(convex.siteUrl);
});

test("consistent queries of one client are all about one moment, whatever has been written since", async () => {
  const first = await client.mutation(mutation("messages:send"), { author: "moment", body: "one" });
  const second = await client.mutation(mutation("messages:send"), { author: "moment", body: "two" });
  const reader = new ConvexHttpClient(convex.url);
  const list = () => reader.consistentQuery(query("messages:list"), { author: "moment" });
  const before = await list();
  expect(before).toMatchObject([{ body: "one" }, { body: "two" }]);
  await client.mutation(mutation("messages:like"), { id: first });
  await client.mutation(mutation("messages:remove"), { id: second });
  await client.mutation(mutation("messages:send"), { author: "moment", body: "three" });
  expect(await list()).toEqual(before);
  expect(await reader.query(query("messages:list"), { author: "moment" })).toMatchObject([
    { body: "one", likes: 1 },
    { body: "three" },
  ]);
  expect(await client.consistentQuery(query("messages:list"), { author: "moment" })).toHaveLength(2);
});

test("a query at a timestamp that was never given is refused instead of answered from newer data", async () => {
  for (const ts of ["AAAAAAAAAAE=", "x", "/////////38="]) {
    const answer = await post("/api/query_at_ts", { path: "messages:list", args: {}, ts });
    expect(await answer.json()).toMatchObject({ code: "TimestampUnavailable" });
  }
});

test("an admin runs a query that is given as source, which can read and nothing else", async () => {
  const run = async (source: string, headers = { authorization: `Convex ${convex.adminKey}` }) => {
    const body = { args: {}, bundle: { path: "testQuery.js", source }, format: "convex_encoded_json" };
    const answer = await post("/api/run_test_function", body, headers);
    return (await answer.json()) as Record<string, unknown>;
  };
  const wrappers = 'import { query } from "convex:/_system/repl/wrappers.js";';
  await client.mutation(mutation("messages:increment"), { name: "inline" });
  const read = `${wrappers}
    export default query({ handler: async (ctx) => {
      console.log("reading");
      return (await ctx.db.query("counters").collect()).find(({ name }) => name === "inline").value;
    } });`;
  expect(await run(read)).toEqual({
    status: "success",
    value: { $integer: "AQAAAAAAAAA=" },
    logLines: ["[LOG] 'reading'"],
  });
  const write = `${wrappers}
    export default query(async () => {
      await Convex.asyncSyscall("1.0/insert", JSON.stringify({ table: "counters", value: { name: "x", value: 1 } }));
    });`;
  expect(await run(write)).toMatchObject({ status: "error" });
  expect(await run("export default 5")).toMatchObject({ errorMessage: expect.stringContaining("query") });
  expect(await run("syntax error(")).toMatchObject({ status: "error" });
  expect(await run(read, { authorization: "" })).toHaveProperty("code");
});

test("random requests are answered, never with a fault of the server", async () => {
  const random = new Random(2026);
  const paths = [
    "/api/query",
    "/api/mutation",
    "/api/run/messages/list",
    "/api/run/%zz",
    "/api/query_batch",
    "/api/query_at_ts",
  ];
  const more = [
    "/api/storage/upload?token=",
    "/api/storage/x",
    "/api/deploy2/start_push",
    "/http/echo",
    "/version",
    "/api/function",
  ];
  const values = [
    0,
    -1,
    "",
    "messages:list",
    "messages:secret",
    [],
    [{}],
    {},
    null,
    true,
    { $integer: "x" },
    [[[1]]],
  ];
  const names = [
    "path",
    "args",
    "format",
    "queries",
    "ts",
    "appDefinition",
    "dryRun",
    "componentPath",
    "changes",
  ];
  const body = () => {
    if (random.below(5) === 0) return random.string(30);
    return JSON.stringify(
      Object.fromEntries(
        names.filter(() => random.below(2) === 0).map((name) => [name, random.pick(values)]),
      ),
    );
  };
  for (let round = 0; round < 300; round++) {
    const isAdmin = random.below(2) === 0;
    const answer = await fetch(convex.url + random.pick([...paths, ...more]), {
      method: random.pick(["POST", "POST", "POST", "PUT", "DELETE"]),
      body: body(),
      headers: {
        ...(isAdmin ? { authorization: `Convex ${convex.adminKey}` } : {}),
        ...(random.below(10) === 0 ? { "content-encoding": random.pick(["br", "gzip", "x"]) } : {}),
      },
    });
    await answer.arrayBuffer();
    expect(answer.status).toBeLessThan(500);
  }
});

test("with redaction the public learns that a function failed, and an admin why", async () => {
  const quiet = await startConvexLocal({ redact: true });
  try {
    await deployFixture(quiet);
    const ask = async (path: string, headers: Record<string, string>) => {
      const body = JSON.stringify({ path: "messages:wrongReturn", args: {} });
      const answer = await fetch(`${quiet.url}${path}`, { method: "POST", body, headers });
      return ((await answer.json()) as { errorMessage: string }).errorMessage;
    };
    expect(await ask("/api/query", {})).toMatch(/^\[Request ID: \w+\] Server Error$/);
    expect(await ask("/api/query", { authorization: `Convex ${quiet.adminKey}` })).toContain(
      "ReturnsValidationError",
    );
  } finally {
    await quiet.stop();
  }
});
