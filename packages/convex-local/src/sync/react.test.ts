/** The official React client, with real React on a DOM. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { ConvexHttpClient } from "convex/browser";
import type * as ConvexReact from "convex/react";
import { type FunctionReference, makeFunctionReference, type PaginationOptions } from "convex/server";
import { Window } from "happy-dom";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import type * as React from "react";
import type * as ReactDom from "react-dom/client";
import { deployFixture } from "../../fixtures/deploy.ts";
import { type ConvexLocal, startConvexLocal } from "../index.ts";

type Message = { _id: string; _creationTime: number; author: string; body: string; likes?: number };
type Paginated = FunctionReference<
  "query",
  "public",
  { paginationOpts: PaginationOptions },
  { page: Message[]; isDone: boolean; continueCursor: string }
>;
const list = makeFunctionReference<"query", { author?: string }, Message[]>("messages:list");
const page = makeFunctionReference("messages:page") as unknown as Paginated;
const whoami = makeFunctionReference<"query", Record<string, never>, { subject: string } | null>(
  "messages:whoami",
);
const send = makeFunctionReference<"mutation", { author: string; body: string }, string>("messages:send");
const viaAction = makeFunctionReference<"action", { body: string }, string>("messages:viaAction");

const { publicKey, privateKey } = await generateKeyPair("ES256");
const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: "one", alg: "ES256" }] };
const dom = new Window({ url: "http://localhost/" });
const before = new Map<string, unknown>();
let react: typeof React;
let reactDom: typeof ReactDom;
let convexReact: typeof ConvexReact;
let convex: ConvexLocal;
let writer: ConvexHttpClient;
const closing: (() => unknown)[] = [];

beforeAll(async () => {
  // React looks for a DOM while it is imported.
  for (const name of ["window", "document"] as const) {
    before.set(name, Reflect.get(globalThis, name));
    Reflect.set(globalThis, name, name === "window" ? dom : dom.document);
  }
  react = await import("react");
  reactDom = await import("react-dom/client");
  convexReact = await import("convex/react");
  const JWKS = `data:application/json;base64,${Buffer.from(JSON.stringify(jwks)).toString("base64")}`;
  convex = await startConvexLocal({ env: { JWKS } });
  await deployFixture(convex);
  writer = new ConvexHttpClient(convex.url);
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});
afterAll(async () => {
  await convex.stop();
  await dom.happyDOM.close();
  for (const [name, value] of before) {
    if (value === undefined) Reflect.deleteProperty(globalThis, name);
    else Reflect.set(globalThis, name, value);
  }
});

type Wrap = (child: React.ReactNode, client: ConvexReact.ConvexReactClient) => React.ReactNode;

/** Renders a component that is nothing but a hook, and waits for what it gives. */
function render<P, T>(use: (props: P) => T, props: P, wrap?: Wrap) {
  const client = new convexReact.ConvexReactClient(convex.url, {
    unsavedChangesWarning: false,
    logger: false,
  });
  const root = reactDom.createRoot(dom.document.createElement("div") as unknown as Element);
  const seen: T[] = [];
  let wake = () => {};
  // biome-ignore lint/correctness/noComponentHookFactories: a component per rendering is what a test of a hook needs.
  function Probe(given: { value: P }) {
    const result = use(given.value);
    react.useEffect(() => {
      seen.push(result);
      wake();
    });
    return null;
  }
  const show = (value: P) => {
    const probe = react.createElement(Probe, { value });
    root.render(
      wrap?.(probe, client) ?? react.createElement(convexReact.ConvexProvider, { client, children: probe }),
    );
  };
  show(props);
  closing.push(async () => {
    root.unmount();
    await client.close();
  });
  return {
    client,
    seen,
    show,
    newest: () => seen.at(-1) as T,
    async until(isEnough: (result: T) => boolean): Promise<T> {
      for (;;) {
        const newest = seen.at(-1);
        if (seen.length > 0 && isEnough(newest as T)) return newest as T;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}
const bodies = (messages: Message[] | undefined) => messages?.map(({ body }) => body);

test("useQuery is undefined while it loads, then live, and skip asks nothing", async () => {
  type Args = { author: string } | "skip";
  const probe = render<Args, Message[] | undefined>((args) => convexReact.useQuery(list, args), "skip");
  await probe.until(() => true);
  expect(probe.newest()).toBeUndefined();
  probe.show({ author: "react" });
  await probe.until((rows) => rows?.length === 0);
  await writer.mutation(send, { author: "react", body: "live" });
  expect(bodies(await probe.until((rows) => rows?.length === 1))).toEqual(["live"]);
  probe.show("skip");
  await probe.until((rows) => rows === undefined);
});

test("useQueries follows several queries at once, and gives the error of one that fails", async () => {
  const queries = {
    one: { query: list, args: { author: "several" } },
    none: { query: makeFunctionReference<"query">("messages:wrongReturn"), args: {} },
  };
  const probe = render((given: typeof queries) => convexReact.useQueries(given), queries);
  const results = await probe.until(({ one, none }) => one !== undefined && none !== undefined);
  expect(results.one).toEqual([]);
  expect(String(results.none)).toContain("ReturnsValidationError");
});

test("useMutation shows its optimistic update at once, and useAction gives its result", async () => {
  const author = "hook";
  const probe = render(() => {
    const mutate = convexReact.useMutation(send).withOptimisticUpdate((store, { body }) => {
      const rows = store.getQuery(list, { author }) ?? [];
      store.setQuery(list, { author }, [...rows, { _id: "?", _creationTime: 0, author, body: `${body}?` }]);
    });
    return { rows: convexReact.useQuery(list, { author }), mutate, act: convexReact.useAction(viaAction) };
  }, undefined);
  await probe.until(({ rows }) => rows?.length === 0);
  const sent = probe.newest().mutate({ author, body: "sure" });
  // What the next rendering shows; the server's answer may come before React renders.
  expect(bodies(probe.client.watchQuery(list, { author }).localQueryResult())).toEqual(["sure?"]);
  await sent;
  await probe.until(({ rows }) => bodies(rows)?.[0] === "sure");
  expect(await probe.newest().act({ body: "x" })).toBeString();
});

test("usePaginatedQuery loads page after page, and rows that are inserted or deleted show in their places", async () => {
  const ids: string[] = [];
  for (let n = 0; n < 25; n++) ids.push(await writer.mutation(send, { author: "pages", body: `old ${n}` }));
  const probe = render(() => convexReact.usePaginatedQuery(page, {}, { initialNumItems: 10 }), undefined);
  type Result = ReturnType<typeof probe.newest>;
  const first = await probe.until(({ status }: Result) => status === "CanLoadMore");
  expect(first.results.map(({ body }) => body)).toEqual(
    Array.from({ length: 10 }, (_, n) => `old ${24 - n}`),
  );
  probe.newest().loadMore(10);
  await probe.until(({ results, status }) => results.length === 20 && status === "CanLoadMore");
  // Newest first, so these go into the first page, which keeps its end.
  for (let n = 0; n < 15; n++) await writer.mutation(send, { author: "pages", body: `new ${n}` });
  const grown = await probe.until(({ results }) => results.length === 35);
  expect(grown.results.slice(0, 15).map(({ body }) => body)).toEqual(
    Array.from({ length: 15 }, (_, n) => `new ${14 - n}`),
  );
  expect(new Set(grown.results.map(({ _id }) => _id)).size).toBe(35);
  await writer.mutation(makeFunctionReference<"mutation">("messages:remove"), { id: ids[12] ?? "" });
  await probe.until(({ results }) => results.length === 34);
  probe.newest().loadMore(100);
  const all = await probe.until(({ status }) => status === "Exhausted");
  const everything = (await writer.query(list, {})).map(({ _id }) => _id).reverse();
  expect(all.results.map(({ _id }) => _id)).toEqual(everything);
  // Somebody new gets a page of the usual length, not the one that has grown.
  const late = render(() => convexReact.usePaginatedQuery(page, {}, { initialNumItems: 10 }), undefined);
  expect((await late.until(({ status }) => status === "CanLoadMore")).results).toHaveLength(10);
});

test("ConvexProviderWithAuth signs in and out, and queries follow", async () => {
  let isSignedIn = true;
  const fetchAccessToken = () =>
    new SignJWT({})
      .setProtectedHeader({ alg: "ES256", kid: "one" })
      .setIssuer("https://auth.test")
      .setAudience("tyto")
      .setSubject("ada")
      .setJti(crypto.randomUUID())
      .setIssuedAt()
      .setExpirationTime("1h")
      .sign(privateKey);
  // biome-ignore lint/correctness/noComponentHookFactories: it looks at a variable of this test, and has no state.
  const useAuth = () => ({ isLoading: false, isAuthenticated: isSignedIn, fetchAccessToken });
  const probe = render(
    () => ({ state: convexReact.useConvexAuth(), identity: convexReact.useQuery(whoami, {}) }),
    0,
    (child, client) =>
      react.createElement(convexReact.ConvexProviderWithAuth, { client, useAuth, children: child }),
  );
  const signedIn = await probe.until(
    ({ state, identity }) => state.isAuthenticated && identity !== null && identity !== undefined,
  );
  expect(signedIn.identity).toMatchObject({ subject: "ada" });
  isSignedIn = false;
  probe.show(1);
  const signedOut = await probe.until(({ state, identity }) => !state.isAuthenticated && identity === null);
  expect(signedOut.state.isLoading).toBe(false);
});
