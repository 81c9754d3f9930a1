import { afterAll, beforeAll, expect, test } from "bun:test";
import { deployFixture } from "../../fixtures/deploy.ts";
import { type ConvexLocal, startConvexLocal } from "../index.ts";

let convex: ConvexLocal;
beforeAll(async () => {
  convex = await startConvexLocal();
  await deployFixture(convex);
});
afterAll(() => convex.stop());

/** What anybody may ask for; everything else that the server knows wants the admin key. */
const PUBLIC = new Set([
  "GET /",
  "GET /version",
  "GET /instance_name",
  "GET /instance_version",
  "GET /api/query",
  "POST /api/query",
  "POST /api/mutation",
  "POST /api/action",
  "POST /api/query_ts",
  "POST /api/query_at_ts",
  "POST /api/query_batch",
  "POST /api/run",
  "POST /api/storage/upload",
]);

/** The routes as the sources name them, so that a new one is looked at here without being listed. */
async function routes(): Promise<string[]> {
  const found = new Set<string>();
  for (const file of ["server.ts", "transfer.ts"]) {
    const source = await Bun.file(`${import.meta.dir}/../http/${file}`).text();
    for (const [, route = ""] of source.matchAll(/^\s*"((?:GET|POST|PUT|DELETE|HEAD) \/[^"]*)":/gm))
      found.add(route);
  }
  return [...found];
}

const attempt = async (route: string, headers: Record<string, string>) => {
  const [method = "", path = ""] = route.split(" ");
  const init = method === "GET" ? { method, headers } : { method, headers, body: "{}" };
  const answer = await fetch(convex.url + path, { ...init, signal: AbortSignal.timeout(20_000) });
  return { route, status: answer.status, body: await answer.text() };
};

test("every route but the public ones wants the admin key, and the right one", async () => {
  const guarded = (await routes()).filter((route) => !PUBLIC.has(route));
  expect(guarded.length).toBeGreaterThan(10);
  for (const route of guarded) {
    expect(await attempt(route, {})).toMatchObject({ route, status: 401 });
    const [, hex = ""] = convex.adminKey.split("|");
    for (const key of ["tyto|00", `tyto|${hex.slice(0, -1)}0f`, `tyto|${hex}00`, hex, ""]) {
      const answer = await attempt(route, { authorization: `Convex ${key}` });
      expect({ route, key, isRefused: [401, 403].includes(answer.status) }).toEqual({
        route,
        key,
        isRefused: true,
      });
    }
    expect(await attempt(route, { authorization: "Bearer x.y.z" })).toMatchObject({ route, status: 401 });
  }
});

test("what is public stays so", async () => {
  for (const route of PUBLIC) {
    expect([401, 403]).not.toContain(
      route === "POST /api/storage/upload" ? 0 : (await attempt(route, {})).status,
    );
  }
});

test("a socket needs the key to be an admin, and to see internal functions", async () => {
  const socket = new WebSocket(`${convex.url.replace("http", "ws")}/api/1.48.0/sync`);
  const messages: { type: string }[] = [];
  const closed = new Promise((resolve) => {
    socket.onclose = resolve;
  });
  socket.onmessage = ({ data }) => messages.push(JSON.parse(String(data)) as { type: string });
  await new Promise((resolve) => {
    socket.onopen = resolve;
  });
  const send = (message: object) => socket.send(JSON.stringify(message));
  send({ type: "Connect", sessionId: crypto.randomUUID(), connectionCount: 0 });
  send({ type: "Authenticate", baseVersion: 0, tokenType: "Admin", value: "tyto|00" });
  await closed;
  expect(messages.at(-1)?.type).toBe("AuthError");
});

test("files have names that cannot be guessed, and no path leads out of their folder", async () => {
  for (const path of [
    "../convex.sqlite3",
    "..%2fconvex.sqlite3",
    "%2e%2e/convex.sqlite3",
    "....//convex.sqlite3",
    "/etc/passwd",
    "%00",
    "upload",
    "00000000-0000-0000-0000-000000000000",
    "'; DROP TABLE files; --",
  ]) {
    const answer = await fetch(`${convex.url}/api/storage/${path}`);
    expect({ path, status: answer.status }).toEqual({ path, status: 404 });
  }
  const target = await fetch(`${convex.url}/api/mutation`, {
    method: "POST",
    body: JSON.stringify({ path: "files:uploadUrl", args: {} }),
  });
  const { value } = (await target.json()) as { value: string };
  const upload = async () =>
    ((await (await fetch(value, { method: "POST", body: "x" })).json()) as { storageId: string }).storageId;
  const urls = new Set<string>();
  for (let file = 0; file < 20; file++) {
    const answer = await fetch(`${convex.url}/api/query`, {
      method: "POST",
      body: JSON.stringify({ path: "files:url", args: { id: await upload() } }),
    });
    urls.add(((await answer.json()) as { value: string }).value);
  }
  expect(urls.size).toBe(20);
  // Version 4: 122 random bits.
  for (const url of urls)
    expect(url).toMatch(
      /\/api\/storage\/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
});
