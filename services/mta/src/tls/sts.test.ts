import { beforeEach, expect, test } from "bun:test";
import { DnsError } from "@tyto/dns";
import { silentLog } from "@tyto/service";
import { createSts, type Fetched, type StsPorts, type StsRecord } from "./sts.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const policyText = (mode: string, maxAgeS = 604_800) =>
  `version: STSv1\nmode: ${mode}\nmx: mx.example.org\nmax_age: ${maxAgeS}\n`;

let nowMs: number;
/** TXT records of `_mta-sts.example.org`, or how DNS fails. */
let record: string[] | DnsError;
let web: Fetched | Promise<Fetched>;
let kept: Map<string, StsRecord>;
let lookups: number;
let fetches: number;
beforeEach(() => {
  nowMs = 1_800_000_000_000;
  record = ["v=STSv1; id=1;"];
  web = { kind: "text", text: policyText("enforce") };
  kept = new Map();
  lookups = 0;
  fetches = 0;
});

const make = (change: Partial<StsPorts> = {}) =>
  createSts({
    async txt() {
      lookups++;
      if (record instanceof DnsError) throw record;
      return record;
    },
    async fetchPolicy() {
      fetches++;
      return web;
    },
    store: {
      get: async (domain) => kept.get(domain),
      put: async (domain, value) => void kept.set(domain, value),
    },
    now: () => nowMs,
    log: silentLog,
    ...change,
  });
const notFound: Fetched = {
  kind: "failed",
  problem: { result: "sts-policy-fetch-error", why: "status 404" },
};
const modeOf = async (sts: ReturnType<typeof make>) => {
  const found = await sts.find("Example.org");
  return found.kind === "policy" ? found.policy.mode : found.kind;
};
/** What runs behind a message's back has run. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

test("a policy is fetched once for all who ask, and kept", async () => {
  const sts = make();
  expect(await Promise.all([modeOf(sts), modeOf(sts), modeOf(sts)])).toEqual([
    "enforce",
    "enforce",
    "enforce",
  ]);
  nowMs += 60_000;
  expect(await modeOf(sts)).toBe("enforce");
  expect([lookups, fetches]).toEqual([1, 1]);
  expect(kept.get("example.org")).toMatchObject({ id: "1", mode: "enforce", fetchedAt: 1_800_000_000_000 });
});

test("a domain without a record is asked again after an hour, not before", async () => {
  record = [];
  const sts = make();
  expect(await modeOf(sts)).toBe("none");
  nowMs += hourMs - 1;
  expect(await modeOf(sts)).toBe("none");
  expect(lookups).toBe(1);
  record = ["v=STSv1; id=1;"];
  nowMs += 1;
  expect(await modeOf(sts)).toBe("enforce");
});

test("a new id makes the policy fetched again, without a message waiting for it", async () => {
  const sts = make();
  await modeOf(sts);
  record = ["v=STSv1; id=2;"];
  web = { kind: "text", text: policyText("testing") };
  nowMs += hourMs;
  expect(await modeOf(sts)).toBe("enforce");
  await settled();
  expect(await modeOf(sts)).toBe("testing");
  expect(kept.get("example.org")?.id).toBe("2");
});

test("the same id is not fetched again within a day, and is after one", async () => {
  const sts = make();
  await modeOf(sts);
  nowMs += hourMs;
  await modeOf(sts);
  await settled();
  expect([lookups, fetches]).toEqual([2, 1]);
  nowMs += dayMs;
  await modeOf(sts);
  await settled();
  expect(fetches).toBe(2);
  expect(kept.get("example.org")?.fetchedAt).toBe(nowMs);
});

test("whoever takes away the record or the web server does not switch off a policy that is kept", async () => {
  const sts = make();
  await modeOf(sts);
  for (const broken of [[], new DnsError("timeout", "nobody answers"), ["v=STSv1; id=2;"]]) {
    record = broken;
    web = notFound;
    nowMs += dayMs;
    expect(await modeOf(sts)).toBe("enforce");
    await settled();
    expect(await modeOf(sts)).toBe("enforce");
  }
});

test("a process that starts anew knows what was kept, even when DNS and web are silent", async () => {
  await modeOf(make());
  record = new DnsError("timeout", "nobody answers");
  nowMs += dayMs;
  expect(await modeOf(make())).toBe("enforce");
});

test("a policy counts until max_age is over, and no longer", async () => {
  const sts = make();
  await modeOf(sts);
  record = [];
  nowMs += 7 * dayMs - 1;
  expect(await modeOf(sts)).toBe("enforce");
  await settled();
  nowMs += hourMs;
  expect(await modeOf(sts)).toBe("none");
});

test("a policy that is kept is refreshed before it runs out, without any message", async () => {
  const sts = make();
  await modeOf(sts);
  for (let day = 0; day < 30; day++) {
    nowMs += dayMs;
    await sts.refreshKept();
  }
  expect(fetches).toBe(31);
  record = [];
  expect(await modeOf(sts)).toBe("enforce");
});

test("a policy that cannot be had is told, and tried again after five minutes", async () => {
  web = notFound;
  const sts = make();
  expect(await sts.find("example.org")).toEqual({ kind: "failed", problem: notFound.problem });
  nowMs += 299_999;
  await modeOf(sts);
  expect(fetches).toBe(1);
  web = { kind: "text", text: "no policy" };
  nowMs += 1;
  expect(await sts.find("example.org")).toMatchObject({
    kind: "failed",
    problem: { result: "sts-policy-invalid", why: expect.stringContaining("no policy") },
  });
  web = { kind: "text", text: policyText("enforce") };
  nowMs += 300_000;
  expect(await modeOf(sts)).toBe("enforce");
});

test("mode none replaces a policy that was kept", async () => {
  const sts = make();
  await modeOf(sts);
  record = ["v=STSv1; id=2;"];
  web = { kind: "text", text: policyText("none") };
  nowMs += hourMs;
  await modeOf(sts);
  await settled();
  expect(await modeOf(sts)).toBe("none");
  expect(await modeOf(make())).toBe("none");
});

test("a bucket that cannot be read stops the delivery: what it may demand is not known", async () => {
  const sts = make({
    store: {
      get: async () => {
        throw new Error("the bus is away");
      },
      put: async () => {},
    },
  });
  await expect(sts.find("example.org")).rejects.toThrow("the bus is away");
});

test("a bucket that cannot be written costs nothing but memory over a restart", async () => {
  const sts = make({
    store: {
      get: async () => undefined,
      put: async () => {
        throw new Error("the bus is away");
      },
    },
  });
  expect(await modeOf(sts)).toBe("enforce");
});

test("at most thirty policies are fetched at a time", async () => {
  let running = 0;
  let most = 0;
  const sts = make({
    async fetchPolicy() {
      most = Math.max(most, ++running);
      await settled();
      running--;
      return { kind: "text", text: policyText("enforce") };
    },
  });
  await Promise.all(Array.from({ length: 200 }, (_, index) => sts.find(`d${index}.example`)));
  expect(most).toBe(30);
  expect(sts.status()).toEqual({ domains: 200, policies: { enforce: 200, testing: 0, none: 0 } });
});
