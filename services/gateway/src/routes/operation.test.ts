import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import type { Bus } from "@tyto/bus";
import {
  type ControlAnswer,
  type ControlRequest,
  DeliveryId,
  Failure,
  type Hold,
  holdKey,
  MessageId,
} from "@tyto/contracts";
import { until } from "../../../../test/parts/until.ts";
import { startTestGateway, type TestGateway } from "../testing.ts";

/** Answers as an mta gives them; what an mta does itself is tested there. */
let gateway: TestGateway;
let mta: Bus;
const answering: { stop(): void }[] = [];
beforeAll(async () => {
  gateway = await startTestGateway({ users: true });
  mta = await gateway.nats.connect("mta");
});
afterEach(async () => {
  for (const one of answering.splice(0)) one.stop();
  // The server has heard that they stopped: the next question is not sent to them any more.
  await mta.bucket("CLAIMS").get("nothing");
});
afterAll(() => gateway.stop());

const messageId = MessageId.parse("01ks2m8h3nvbx7r3c1yq0w9d4t");
const nothing = { delivered: 0, deferred: 0, bounced: 0 };
const state: ControlAnswer<"mta.state"> = {
  process: "p1",
  startedAtMs: 0,
  connections: { open: 4, idle: 1, max: 100 },
  inHand: 3,
  lastMinute: { delivered: 60, deferred: 2, bounced: 1 },
  sites: [
    {
      site: "google",
      provider: "google",
      state: "suspended",
      untilMs: 1_800_000_000_000,
      why: "google: 421 too many messages",
      connections: 2,
      inHand: 3,
      lastMinute: { ...nothing, deferred: 2 },
      limits: [{ egress: "192.0.2.1", state: "suspended", connectionsMax: 5 }],
    },
  ],
  organizations: [{ key: "acme", state: "held", why: "held by root: spam", lastMinute: nothing }],
  campaigns: [],
  breakers: [{ scope: "organization", id: "acme", state: "open", why: "12 % bounced", bounceRate: 0.12 }],
};
const counted: ControlAnswer<"mta.queue"> = {
  countedAtMs: 1_700_000_000_000,
  total: { entries: 7, ready: 5, later: 2, oldestAtMs: 1_600_000_000_000, nextAtMs: 1_700_000_300_000 },
  classes: [{ traffic: "bulk", entries: 7, ready: 5, later: 2 }],
  rows: [
    { key: "google", provider: "google", entries: 6, ready: 5, later: 1 },
    { key: "example.org", entries: 1, ready: 0, later: 1 },
  ],
};

const answerStates = async () => {
  answering.push(mta.control.answer("mta.state", async () => state));
  await mta.bucket("CLAIMS").get("nothing");
};

async function answerQueue(): Promise<ControlRequest<"mta.queue">[]> {
  const seen: ControlRequest<"mta.queue">[] = [];
  answering.push(
    mta.control.answer("mta.queue", async (request) => {
      seen.push(request);
      return counted;
    }),
  );
  await answerStates();
  return seen;
}

async function answerActs(answers: ControlAnswer<"mta.act">[]): Promise<ControlRequest<"mta.act">[]> {
  const seen: ControlRequest<"mta.act">[] = [];
  answering.push(
    mta.control.answer("mta.act", async (request) => {
      seen.push(request);
      return answers.shift() ?? { matched: 0, touched: 0, inHand: 0, sample: [] };
    }),
  );
  await mta.bucket("CLAIMS").get("nothing");
  return seen;
}

test("GET /v1/queue joins what waits with what the sites are doing", async () => {
  const seen = await answerQueue();
  const answer = await gateway.call("GET", "/v1/queue?organization=acme&older_than_s=60&limit=10");
  expect(answer.status).toBe(200);
  expect(await answer.json()).toEqual({
    counted_at: "2023-11-14T22:13:20.000Z",
    by: "site",
    processes: 1,
    total: {
      ...{ entries: 7, ready: 5, later: 2, in_hand: 3, connections: 4 },
      oldest_at: "2020-09-13T12:26:40.000Z",
      next_at: "2023-11-14T22:18:20.000Z",
      last_minute: { delivered: 60, deferred: 2, bounced: 1 },
    },
    classes: [{ traffic: "bulk", entries: 7, ready: 5, later: 2 }],
    rows: [
      {
        ...{ key: "google", provider: "google", entries: 6, ready: 5, later: 1, state: "suspended" },
        until: "2027-01-15T08:00:00.000Z",
        why: "google: 421 too many messages",
        ...{ connections: 2, in_hand: 3, last_minute: { ...nothing, deferred: 2 } },
      },
      {
        ...{ key: "example.org", entries: 1, ready: 0, later: 1, state: "open", connections: 0, in_hand: 0 },
        last_minute: nothing,
      },
    ],
  });
  expect(seen).toEqual([
    {
      by: "site",
      filter: { organizationId: "acme" as never, acceptedBeforeMs: gateway.clock.now - 60_000 },
      rowsMax: 10,
    },
  ]);
});

test("a row that nothing stops says what the last of its mail heard, by the process that heard it last", async () => {
  await answerQueue();
  answering.pop()?.stop();
  const wait = (why: string, atMs: number, place = "example.org") => ({ place, why, atMs });
  const google = wait("it waits for its turn: x", 9, "google");
  const told = [[wait("there is no way yet: old", 1), google], [wait("there is no way yet: new", 2)]];
  const [one, other] = [mta, await gateway.nats.connect("mta")];
  answering.push(
    ...[one, other].map((bus, at) =>
      bus.control.answer("mta.state", async () => ({ ...state, process: `p${at}`, waits: told[at] })),
    ),
  );
  await until("both answer", async () => {
    const answer = await gateway.call("GET", "/v1/queue");
    const { rows, processes } = (await answer.json()) as {
      processes: number;
      rows: { key: string; why?: string }[];
    };
    if (processes < 2) return false;
    expect(rows.map(({ key, why }) => [key, why])).toEqual([
      ["google", "google: 421 too many messages"],
      ["example.org", "there is no way yet: new"],
    ]);
    return true;
  });
});

test("a site that has mail in hand and none waiting is a row, unless conditions are given", async () => {
  await answerQueue();
  answering.pop()?.stop();
  const tarpit = { ...state.sites[0], site: "mx.tarpit.example", state: "open" as const, inHand: 2 };
  answering.push(
    mta.control.answer("mta.state", async () => ({ ...state, sites: [...state.sites, tarpit] as never })),
  );
  await mta.bucket("CLAIMS").get("nothing");
  const rowsOf = async (query: string) => {
    const answer = (await (await gateway.call("GET", `/v1/queue${query}`)).json()) as {
      rows: { key: string; entries: number; in_hand: number }[];
    };
    return answer.rows.map(({ key, entries, in_hand }) => [key, entries, in_hand]);
  };
  const waiting = [
    ["google", 6, 3],
    ["example.org", 1, 0],
  ];
  expect(await rowsOf("")).toEqual([...waiting, ["mx.tarpit.example", 0, 2]]);
  for (const query of ["?limit=2", "?traffic=bulk", "?by=campaign"])
    expect((await rowsOf(query)).map(([key]) => key)).toEqual(["google", "example.org"]);
});

test("a site's row tells how fast all our addresses may send together, of those that it is not left alone by", async () => {
  await answerQueue();
  const rateWith = async (limits: readonly [state: string, ratePerMinuteMax?: number][]) => {
    answering.pop()?.stop();
    const site = {
      ...state.sites[0],
      limits: limits.map(([flow, ratePerMinuteMax], place) => ({
        ...{ egress: `e${place}`, state: flow },
        ...(ratePerMinuteMax === undefined ? {} : { ratePerMinuteMax }),
      })),
    };
    answering.push(mta.control.answer("mta.state", async () => ({ ...state, sites: [site] as never })));
    await mta.bucket("CLAIMS").get("nothing");
    const { rows } = (await (await gateway.call("GET", "/v1/queue")).json()) as {
      rows: { rate_per_minute_max?: number }[];
    };
    return rows[0]?.rate_per_minute_max;
  };
  expect(
    await rateWith([
      ["open", 40],
      ["slowed", 20],
      ["suspended", 60],
    ]),
  ).toBe(60);
  expect(await rateWith([["open", 40], ["open"]])).toBeUndefined();
  expect(await rateWith([["suspended", 20]])).toBeUndefined();
});

test("by organisation the rows tell who is held", async () => {
  await answerQueue();
  answering[0]?.stop();
  answering.push(
    mta.control.answer("mta.queue", async () => ({
      ...counted,
      rows: [{ key: "acme", entries: 7, ready: 7, later: 0 }],
    })),
  );
  await mta.bucket("CLAIMS").get("nothing");
  const answer = (await (await gateway.call("GET", "/v1/queue?by=organization")).json()) as {
    rows: unknown[];
  };
  expect(answer.rows).toMatchObject([{ key: "acme", state: "held", why: "held by root: spam" }]);
});

test("by organisation and campaign the rows tell why their mail waits, by the sites that most of it waits for", async () => {
  await answerQueue();
  for (const one of answering.splice(0)) one.stop();
  const rows = [
    {
      ...{ key: "beta", entries: 9, ready: 7, later: 2 },
      sites: ["google", "example.org", "quiet.example"].map((site, at) => ({ site, entries: 5 - at })),
    },
    { key: "acme", entries: 7, ready: 7, later: 0, sites: [{ site: "google", entries: 7 }] },
    { key: "gamma", entries: 1, ready: 1, later: 0, sites: [{ site: "yahoo", entries: 1 }] },
  ];
  const [google] = state.sites;
  // It is open, and what it says is about a sender that is held there.
  const yahoo = { ...google, site: "yahoo", state: "open", why: "the organization acme at yahoo is held" };
  const waits = [{ place: "example.org", why: "the last one was put off: busy", atMs: 1 }];
  answering.push(
    mta.control.answer("mta.queue", async () => ({ ...counted, rows })),
    mta.control.answer(
      "mta.state",
      async () => ({ ...state, sites: [...state.sites, yahoo], waits }) as never,
    ),
  );
  await mta.bucket("CLAIMS").get("nothing");
  for (const by of ["organization", "campaign"]) {
    const answer = await gateway.call("GET", `/v1/queue?by=${by}`);
    const told = (await answer.json()) as { rows: { key: string; why?: string; sites?: unknown }[] };
    expect(told.rows.map(({ key, why, sites }) => [key, why, sites])).toEqual([
      [
        "beta",
        "5 for google: google: 421 too many messages; 4 for example.org: the last one was put off: busy",
        undefined,
      ],
      [
        "acme",
        by === "organization" ? "held by root: spam" : "7 for google: google: 421 too many messages",
        undefined,
      ],
      ["gamma", undefined, undefined],
    ]);
  }
});

test("503 with the reason when no mta runs, 400 for a condition that does not exist", async () => {
  const answer = await gateway.call("GET", "/v1/queue");
  expect(answer.status).toBe(503);
  expect(await answer.json()).toMatchObject({ code: "upstream.down", detail: "No mta is running" });
  expect((await gateway.call("GET", "/v1/queue?by=color")).status).toBe(400);
  const wrong = await gateway.call("POST", "/v1/queue/requeue", { filter: { sites: "google" } });
  expect(wrong.status).toBe(400);
  expect(await wrong.json()).toMatchObject({
    errors: [{ path: "filter.sites", problem: "is not known here" }, {}],
  });
});

test("no action without a condition: nobody bounces the whole queue by leaving something out", async () => {
  for (const [action, more] of [
    ["hold", { why: "x" }],
    ["release", {}],
    ["bounce", { why: "x" }],
    ["requeue", {}],
    ["rebind", { pool: "p" }],
  ] as const) {
    const answer = await gateway.call("POST", `/v1/queue/${action}`, { filter: {}, ...more });
    expect({ action, status: answer.status }).toEqual({ action, status: 400 });
  }
});

test("an action is done in parts, each naming who asked, until there is no cursor", async () => {
  const sample = {
    ...{ deliveryId: DeliveryId.parse(`${messageId}-0`), messageId, recipient: "bob@example.org" as never },
    ...{ organizationId: "acme" as never, site: "google", attempt: 2, acceptedAtMs: 0, nextAtMs: 60_000 },
  };
  const seen = await answerActs([
    { matched: 3, touched: 2, inHand: 1, sample: [sample], next: 4711 },
    { matched: 1, touched: 1, inHand: 0, sample: [] },
  ]);
  const ask = async (cursor?: string) =>
    (
      await gateway.call("POST", "/v1/queue/bounce", {
        filter: { domain: "example.org", reason: "mailbox.full" },
        why: "wrong list",
        ...(cursor === undefined ? {} : { cursor }),
      })
    ).json();
  expect(await ask()).toEqual({
    ...{ action: "bounce", dry_run: false, matched: 3, touched: 2, in_hand: 1, next_cursor: "4711" },
    sample: [
      {
        ...{ message_id: messageId, recipient: "bob@example.org", organization_id: "acme", site: "google" },
        ...{ attempt: 2, accepted_at: "1970-01-01T00:00:00.000Z", next_at: "1970-01-01T00:01:00.000Z" },
      },
    ],
  });
  expect(await ask("4711")).toMatchObject({ matched: 1, next_cursor: null });
  expect(seen.map(({ action, after, by, why, isDryRun }) => ({ action, after, by, why, isDryRun }))).toEqual([
    { action: "bounce", after: undefined, by: "root", why: "wrong list", isDryRun: false },
    { action: "bounce", after: 4711, by: "root", why: "wrong list", isDryRun: false },
  ] as never);
  expect(
    (await gateway.call("POST", "/v1/queue/requeue", { filter: { site: "x" }, cursor: "x" })).status,
  ).toBe(400);
});

test("mail of one site that is to go now has the site asked, by all processes; a trial and other conditions do not", async () => {
  const asked: ControlRequest<"mta.ask-site">[] = [];
  answering.push(
    mta.control.answer("mta.ask-site", async (request) => {
      asked.push(request);
      return { rows: 1 };
    }),
  );
  const acts = await answerActs([]);
  const requeue = (body: object) => gateway.call("POST", "/v1/queue/requeue", body);
  await requeue({ filter: { site: "google" }, dry_run: true });
  await requeue({ filter: { domain: "example.org" } });
  await requeue({ filter: { site: "google", traffic: "bulk" } });
  await requeue({ filter: { site: "google" }, cursor: "5" });
  expect(asked).toEqual([]);
  expect((await requeue({ filter: { site: "google" } })).status).toBe(200);
  expect(asked).toEqual([{ site: "google", by: "root" }]);
  expect(acts).toHaveLength(5);
});

test("a site is held as such; other conditions put entries off, to one time for all parts", async () => {
  const holds: ControlRequest<"mta.hold">[] = [];
  const released: string[] = [];
  answering.push(
    mta.control.answer("mta.hold", async (wanted): Promise<Hold> => {
      holds.push(wanted);
      return { ...wanted, key: holdKey(wanted), sinceMs: 0 };
    }),
    mta.control.answer("mta.release", async ({ key }) => {
      released.push(key);
      return { wasHeld: key.startsWith("campaign:acme/spring") };
    }),
    mta.control.answer("mta.ask-site", async ({ site }) => ({ rows: site === "google" ? 1 : 0 })),
  );
  const acts = await answerActs([
    { matched: 1, touched: 1, inHand: 0, sample: [], next: 5 },
    { matched: 1, touched: 1, inHand: 0, sample: [] },
  ]);
  const hold = async (filter: object, more: object = {}) =>
    (await gateway.call("POST", "/v1/queue/hold", { filter, why: "asked to", for_s: 60, ...more })).json();
  expect(await hold({ site: "google" })).toEqual({
    hold: {
      ...{ key: "site:google", scope: "site", id: "google", why: "asked to", by: "root" },
      ...{ since: "1970-01-01T00:00:00.000Z", until: new Date(gateway.clock.now + 60_000).toISOString() },
    },
  });
  await hold({ organization: "acme", campaign: "spring" });
  expect(holds.map(({ scope, id }) => `${scope}:${id}`)).toEqual(["site:google", "campaign:acme/spring"]);
  const first = (await hold({ recipient: "bob@example.org" })) as { entries: { next_cursor: string } };
  gateway.clock.now += 10_000;
  await hold({ recipient: "bob@example.org" }, { cursor: first.entries.next_cursor });
  expect(acts.map(({ untilMs, after }) => [untilMs, after])).toEqual([
    [gateway.clock.now + 50_000, undefined],
    [gateway.clock.now + 50_000, 5],
  ]);
  const release = async (filter: object) =>
    (await gateway.call("POST", "/v1/queue/release", { filter })).json();
  expect(await release({ organization: "acme", campaign: "spring" })).toEqual({
    hold: { key: "campaign:acme/spring", was_held: true },
  });
  expect(released).toEqual(["campaign:acme/spring"]);
  // Nobody holds either; one is left alone because it was in trouble.
  expect(await release({ site: "google" })).toEqual({
    hold: { key: "site:google", was_held: false, asked: true },
  });
  expect(await release({ site: "yahoo" })).toEqual({ hold: { key: "site:yahoo", was_held: false } });
  expect(released.slice(1)).toEqual(["site:google", "pause:google", "site:yahoo"]);
});

test("an organisation or campaign is held at one site alone, and released there", async () => {
  const holds: ControlRequest<"mta.hold">[] = [];
  const released: string[] = [];
  answering.push(
    mta.control.answer("mta.hold", async (wanted): Promise<Hold> => {
      holds.push(wanted);
      return { ...wanted, key: holdKey(wanted), sinceMs: 0 };
    }),
    mta.control.answer("mta.release", async ({ key }) => {
      released.push(key);
      return { wasHeld: true };
    }),
  );
  const acts = await answerActs([{ matched: 2, touched: 0, inHand: 0, sample: [] }]);
  const site = "google";
  const spring = { campaign: "spring", organization: "acme", site };
  for (const filter of [{ organization: "acme", site }, spring, { campaign: "spring", site }]) {
    const body = { filter, why: "asked to", for_s: 60 };
    const held = await (await gateway.call("POST", "/v1/queue/hold", body)).json();
    expect(held).toMatchObject({ hold: { site, until: expect.any(String) } });
    expect((await gateway.call("POST", "/v1/queue/release", { filter })).status).toBe(200);
  }
  expect(holds.map(holdKey)).toEqual([
    "organization:acme@google",
    "campaign:acme/spring@google",
    "campaign:spring@google",
  ]);
  expect(released).toEqual(holds.map(holdKey));
  expect(acts).toEqual([]);

  const trial = { filter: spring, why: "asked to", dry_run: true };
  expect(await (await gateway.call("POST", "/v1/queue/hold", trial)).json()).toMatchObject({
    entries: { matched: 2 },
  });
  expect(acts).toMatchObject([
    { isDryRun: true, filter: { organizationId: "acme", campaign: "spring", site: "google" } },
  ]);
  expect(holds).toHaveLength(3);

  const add = (body: object) => gateway.call("POST", "/v1/holds", { why: "w", ...body });
  expect((await add({ scope: "organization", id: "acme", site })).status).toBe(201);
  for (const body of [
    { scope: "domain", id: "example.org", site },
    { scope: "organization", id: "acme", site: "goo*" },
  ])
    expect((await add(body)).status).toBe(400);
});

test.each([
  [{ site: "goo*", organization: "acme" }],
  [{ site: "google", organization: "acme", traffic: "bulk" }],
  [{ domain: "example.org", organization: "acme" }],
  [{ domain: "example.org", site: "google" }],
])("%j is no scope of a hold: what waits is put off", async (filter) => {
  const acts = await answerActs([{ matched: 1, touched: 1, inHand: 0, sample: [] }]);
  const answer = await gateway.call("POST", "/v1/queue/hold", { filter, why: "asked to" });
  expect(await answer.json()).toMatchObject({ entries: { touched: 1 } });
  expect(acts).toHaveLength(1);
});

test("a trial of a hold counts all that it would be felt by, also what is due only after its end", async () => {
  const acts = await answerActs([
    { matched: 3, touched: 0, inHand: 0, sample: [] },
    { matched: 1, touched: 0, inHand: 0, sample: [] },
  ]);
  for (const filter of [{ site: "google" }, { recipient: "bob@example.org" }])
    await gateway.call("POST", "/v1/queue/hold", { filter, why: "asked to", for_s: 60, dry_run: true });
  expect(acts.map(({ isDryRun, untilMs }) => [isDryRun, untilMs])).toEqual([
    [true, gateway.clock.now + 5 * 86_400_000],
    [true, gateway.clock.now + 60_000],
  ]);
});

test("holds are listed, made and released", async () => {
  const held: Hold[] = [
    { key: "everything:*", scope: "everything", id: "*", why: "stop", by: "root", sinceMs: 0 },
  ];
  const measure = {
    ...{ key: "switch-pool:mail1/google", action: "switch-pool" as const, rule: "listed", site: "google" },
    ...{ egress: "mail1", pool: "spare", why: "554 blocked", sinceMs: 0, untilMs: 3_600_000 },
  };
  answering.push(
    mta.control.answer("mta.holds", async () => ({ holds: held, measures: [measure] })),
    mta.control.answer("mta.hold", async (wanted) => ({ ...wanted, key: "site:x", sinceMs: 0 })),
    mta.control.answer("mta.release", async ({ key, by }) => ({
      wasHeld: key === "site:a/b" && by === "root",
    })),
  );
  await mta.bucket("CLAIMS").get("nothing");
  expect(await (await gateway.call("GET", "/v1/holds")).json()).toMatchObject({
    data: [{ key: "everything:*" }],
    measures: [{ key: "switch-pool:mail1/google", pool: "spare", until: "1970-01-01T01:00:00.000Z" }],
  });
  expect((await gateway.call("POST", "/v1/holds", { scope: "site", id: "x", why: "y" })).status).toBe(201);
  expect((await gateway.call("POST", "/v1/holds", { scope: "site", why: "y" })).status).toBe(400);
  const released = await gateway.call("DELETE", `/v1/holds/${encodeURIComponent("site:a/b")}`);
  expect(await released.json()).toEqual({ key: "site:a/b", was_held: true });
});

test("limits of a site are set for a time, by its name or by a domain, and released", async () => {
  const limited: ControlRequest<"mta.limit-site">[] = [];
  const released: string[] = [];
  answering.push(
    mta.control.answer("mta.limit-site", async ({ isAboveCeiling, ...wanted }) => {
      limited.push({ ...wanted, isAboveCeiling });
      if (!isAboveCeiling && wanted.rate === "999/s")
        throw new Failure("request.invalid", "too much", {
          hint: "Nothing was changed",
          issues: [{ path: "rate", problem: "google is sent 300 a minute at most" }],
        });
      return { ...wanted, key: `limit:${wanted.site}`, action: "limit" as const, sinceMs: gateway.clock.now };
    }),
    mta.control.answer("mta.site", async ({ domain }) => ({
      ...{ domain, hosts: [], policies: [] },
      ...(domain === "example.org" ? { site: "google" } : { trouble: "no answer from DNS" }),
    })),
    mta.control.answer("mta.replies", async () => ({ replies: [] })),
    mta.control.answer("mta.holds", async () => ({ holds: [] })),
    mta.control.answer("mta.release", async ({ key }) => {
      released.push(key);
      return { wasHeld: true };
    }),
    mta.control.answer("mta.ask-site", async () => ({ rows: isSuspended ? 2 : 0 })),
  );
  let isSuspended = false;
  await mta.bucket("CLAIMS").get("nothing");
  const set = (name: string, body: object) => gateway.call("PUT", `/v1/sites/${name}/limits`, body);
  const answer = await set("google", { rate: "60/min", connections: 2, for_s: 7_200, why: "they asked" });
  expect([answer.status, await answer.json()]).toEqual([
    200,
    {
      ...{ key: "limit:google", action: "limit", site: "google", rate: "60/min", connections_max: 2 },
      ...{ why: "they asked", by: "root", since: new Date(gateway.clock.now).toISOString() },
      until: new Date(gateway.clock.now + 7_200_000).toISOString(),
    },
  ]);
  expect((await set("Example.org", { connections: 1, for_s: 60, above_ceiling: true })).status).toBe(200);
  expect(limited.map(({ site, isAboveCeiling }) => [site, isAboveCeiling])).toEqual([
    ["google", false],
    ["google", true],
  ]);
  const refusal = await set("google", { rate: "999/s", for_s: 60 });
  expect([refusal.status, await refusal.json()]).toEqual([
    400,
    expect.objectContaining({
      detail: "Nothing was changed",
      errors: [{ path: "rate", problem: "google is sent 300 a minute at most" }],
    }),
  ]);

  for (const name of ["google", "example.org"]) {
    const over = await gateway.call("DELETE", `/v1/sites/${name}/limits`);
    expect(await over.json()).toEqual({ key: "limit:google", was_held: true });
  }
  expect(released).toEqual(["limit:google", "limit:google"]);
  isSuspended = true;
  const asked = await (await gateway.call("DELETE", "/v1/sites/google/limits")).json();
  expect(asked).toEqual({ key: "limit:google", was_held: true, asked: true });
  expect(released.slice(2)).toEqual(["limit:google", "pause:google"]);

  const before = limited.length;
  const problemOf = async (name: string, body: object) => {
    const response = await set(name, body);
    expect(response.status).toBe(400);
    return await response.text();
  };
  expect(await problemOf("google", { for_s: 60 })).toContain("needs a rate, connections, or both");
  expect(await problemOf("google", { rate: "sixty", for_s: 60 })).toContain("must be like 60/min");
  expect(await problemOf("google", { rate: "0/min", for_s: 60 })).toContain("must be like 60/min");
  for (const body of [
    { rate: "60/min" },
    { rate: "60/min", for_s: 59 },
    { rate: "60/min", for_s: 86_401 },
    { connections: 0, for_s: 60 },
    { connections: 2_001, for_s: 60 },
  ])
    await problemOf("google", body);
  expect(await problemOf("gogle", { rate: "60/min", for_s: 60 })).toContain(
    "nothing was sent to a site gogle",
  );
  expect(await problemOf("gone.example", { rate: "60/min", for_s: 60 })).toContain("no answer from DNS");
  expect(limited).toHaveLength(before);
});

test("a site tells its servers, what waits, its limits, and what it said last", async () => {
  await answerQueue();
  const reply = {
    atMs: 1_000,
    outcome: "deferred" as const,
    reply: "421 4.7.0 later",
    domain: "example.org",
    times: 2,
  };
  answering.push(
    mta.control.answer("mta.site", async ({ domain }) => ({
      domain,
      site: "google",
      provider: "google",
      hosts: [{ name: "mx.google.com", port: 25, addresses: ["192.0.2.9"] }],
      policies: [{ name: "MTA-STS", say: "enforced: *.google.com", mode: "enforce" }],
    })),
    mta.control.answer("mta.replies", async ({ site }) =>
      site === "google"
        ? { state: state.sites[0], replies: [reply], ceiling: { ratePerMinute: 300, connections: 5 } }
        : { replies: [] },
    ),
    mta.control.answer("mta.holds", async () => ({ holds: [] })),
  );
  await mta.bucket("CLAIMS").get("nothing");
  const answer = await gateway.call("GET", "/v1/sites/Example.org");
  expect(answer.status).toBe(200);
  expect(await answer.json()).toMatchObject({
    domain: "example.org",
    site: "google",
    hosts: [{ name: "mx.google.com", port: 25, addresses: ["192.0.2.9"] }],
    policies: [{ name: "MTA-STS", mode: "enforce" }],
    state: { state: "suspended", limits: [{ egress: "192.0.2.1", connections_max: 5 }] },
    ceiling: { rate_per_minute: 300, connections: 5 },
    waiting: { entries: 7 },
    replies: [{ at: "1970-01-01T00:00:01.000Z", reply: "421 4.7.0 later", times: 2 }],
    holds: [],
  });
  expect(await (await gateway.call("GET", "/v1/sites")).json()).toMatchObject({
    processes: 1,
    data: [{ site: "google", state: "suspended" }],
  });
});

test("a site's id tells the same by way of the domain it answered for last, and needs none", async () => {
  await answerQueue();
  const reply = { atMs: 1_000, outcome: "deferred" as const, domain: "example.org", times: 1 };
  answering.push(
    mta.control.answer("mta.site", async ({ domain }) => ({
      ...{
        domain,
        site: "google",
        hosts: [{ name: "mx.google.com", port: 25, addresses: [] }],
        policies: [],
      },
    })),
    mta.control.answer("mta.replies", async ({ site }) => ({ replies: site === "google" ? [reply] : [] })),
    mta.control.answer("mta.holds", async () => ({ holds: [] })),
  );
  await mta.bucket("CLAIMS").get("nothing");
  const told = async (name: string) =>
    (await gateway.call("GET", `/v1/sites/${encodeURIComponent(name)}`)).json();
  expect(await told("google")).toMatchObject({
    ...{ domain: "example.org", site: "google", hosts: [{ name: "mx.google.com" }], replies: [{ times: 1 }] },
  });
  const quiet = { domain: "127.0.0.1=2526", site: "127.0.0.1=2526", hosts: [] };
  expect(await told("127.0.0.1=2526")).toMatchObject(quiet);
  expect((await gateway.call("GET", "/v1/sites/not%20a%20site")).status).toBe(400);
});

test("what ended in DNS before there was a site is told with the domain, also once there is one", async () => {
  await answerQueue();
  const end = {
    ...{ atMs: 1_000, outcome: "deferred" as const, reason: "network.dns" as const, times: 2 },
    ...{ domain: "example.org", reply: "no answer from DNS" },
  };
  let site: string | undefined;
  answering.push(
    mta.control.answer("mta.site", async ({ domain }) => ({
      ...{ domain, hosts: [], policies: [] },
      ...(site === undefined ? { trouble: "no answer from DNS" } : { site }),
    })),
    mta.control.answer("mta.replies", async (asked) => ({
      replies: asked.site === "example.org" ? [end] : [],
    })),
    mta.control.answer("mta.holds", async () => ({ holds: [] })),
  );
  await mta.bucket("CLAIMS").get("nothing");
  const told = async () => (await gateway.call("GET", "/v1/sites/example.org")).json();
  const replies = [{ reason: "network.dns", reply: "no answer from DNS", times: 2 }];
  expect(await told()).toMatchObject({ trouble: "no answer from DNS", replies });
  site = "google";
  expect(await told()).toMatchObject({ site: "google", replies });
});

test("pools and rules are told as they are", async () => {
  answering.push(
    mta.control.answer("mta.pools", async () => ({
      process: "p",
      pools: [
        {
          pool: "default",
          isDefault: true,
          egresses: [
            {
              ...{ egress: "a", ehloName: "mx.test", weight: 1, state: "in", connections: 0, checks: [] },
              lastMinute: nothing,
              warming: {
                say: "day 6 of 30",
                day: 6,
                days: 30,
                used: 412,
                cap: 1_100,
                isPaused: false,
                providers: [],
              },
            },
          ],
        },
      ],
    })),
    mta.control.answer("mta.rules", async () => ({
      rules: [{ rule: "r1", origin: "shipped", say: "x", isOn: true, definition: { thenDo: 1 }, fired: 0 }],
    })),
    mta.control.answer("mta.rules-trial", async ({ sinceMs }) => ({
      events: sinceMs,
      trials: [],
      problems: [],
    })),
  );
  await answerStates();
  expect(await (await gateway.call("GET", "/v1/pools")).json()).toMatchObject({
    processes: 1,
    data: [{ pool: "default", is_default: true, egresses: [{ warming: { cap: 1_100, is_paused: false } }] }],
  });
  expect(await (await gateway.call("GET", "/v1/rules")).json()).toMatchObject({
    data: [{ rule: "r1", is_on: true, definition: { thenDo: 1 } }],
    breakers: [{ scope: "organization", id: "acme", bounce_rate: 0.12 }],
  });
  const trial = await gateway.call("POST", "/v1/rules/dry-run", { hours: 1 });
  expect(await trial.json()).toMatchObject({ events: gateway.clock.now - 3_600_000 });
});

test("a live trace comes as server-sent events, and the mta hears when the reader has gone", async () => {
  let isOver = false;
  answering.push(
    mta.control.answerOften("mta.trace", ({ domain }, say, ended) => {
      const line = { atMs: 1_000, session: "s1", host: `mx.${domain}`, ip: "192.0.2.1" };
      say({
        process: "p",
        dropped: 3,
        lines: [
          { ...line, side: "<", text: "220 ready" },
          { ...line, side: ">", text: "EHLO mail.tyto.test" },
        ],
      });
      ended.addEventListener("abort", () => {
        isOver = true;
      });
    }),
  );
  await mta.bucket("CLAIMS").get("nothing");
  const reading = new AbortController();
  const answer = await gateway.request("/v1/sites/example.org/trace", {
    headers: { authorization: "Bearer root-key-of-the-tests-0123456789" },
    signal: reading.signal,
  });
  expect(answer.headers.get("content-type")).toContain("text/event-stream");
  let text = "";
  const reader = answer.body?.getReader();
  await until("all events came", async () => {
    const { value } = (await reader?.read()) ?? {};
    text += new TextDecoder().decode(value);
    return text.includes("dropped");
  });
  expect(text).toContain('event: line\ndata: {"at":"1970-01-01T00:00:01.000Z","process":"p","session":"s1"');
  expect(text).toContain("EHLO mail.tyto.test");
  expect(text).toContain('event: dropped\ndata: {"lines":3}');
  await reader?.cancel();
  reading.abort();
  answering[0]?.stop();
  expect(isOver).toBe(true);
});

test("403: reading the queue needs emails:read, changing it and listening to sessions need admin", async () => {
  const key = await gateway.key("emails:read");
  const as = (method: string, path: string, body?: unknown) =>
    gateway.call(method, path, body, { authorization: `Bearer ${key}` });
  const filter = { site: "x" };
  for (const [method, path, body] of [
    ["POST", "/v1/queue/hold", { filter, why: "x" }],
    ["POST", "/v1/queue/release", { filter }],
    ["POST", "/v1/queue/bounce", { filter, why: "x" }],
    ["POST", "/v1/queue/requeue", { filter }],
    ["POST", "/v1/queue/rebind", { filter, pool: "p" }],
    ["POST", "/v1/holds", { scope: "site", id: "x", why: "y" }],
    ["DELETE", "/v1/holds/site%3Ax", undefined],
    ["POST", "/v1/rules/dry-run", {}],
    ["GET", "/v1/sites/example.org/trace", undefined],
  ] as const)
    expect({ path, status: (await as(method, path, body)).status }).toEqual({ path, status: 403 });
  // No mta runs: the key may ask all the same.
  expect((await as("GET", "/v1/queue")).status).toBe(503);
  const sender = await gateway.key("emails:send");
  expect(
    (await gateway.call("GET", "/v1/queue", undefined, { authorization: `Bearer ${sender}` })).status,
  ).toBe(403);
});
