import { afterAll, beforeAll, expect, test } from "bun:test";
import type { QuarantineRecord, StoredEvent } from "@tyto/contracts";
import { createResolver, type Resolver } from "@tyto/dns";
import { type DnsServer, startDns } from "@tyto/dns/testing";
import { canBind } from "./bind.ts";
import { askBlocklist, type Blocklist } from "./blocklists.ts";
import { checkReverse } from "./reverse.ts";
import { EgressWatch, type WatchPorts } from "./watch.ts";

const ptr = (ip: string) => `${ip.split(".").toReversed().join(".")}.in-addr.arpa`;
const point = { "2.0.0.127": "127.0.0.2" };
const listing = (zone: string, rows: Record<string, string>) =>
  Object.fromEntries(
    Object.entries({ ...point, ...rows }).map(([name, code]) => [`${name}.${zone}`, { A: [code], ttlS: 0 }]),
  );

let dns: DnsServer;
let resolver: Resolver;
beforeAll(async () => {
  dns = await startDns({
    [ptr("8.8.4.1")]: { PTR: ["good.example.com"] },
    "good.example.com": { A: ["8.8.4.1"] },
    [ptr("8.8.4.2")]: { PTR: ["other.example.com"] },
    "other.example.com": { A: ["8.8.4.9"] },
    [ptr("8.8.4.3")]: { PTR: ["good.example.com", "third.example.com"] },
    "third.example.com": { A: ["8.8.4.3"] },
    [ptr("8.8.4.5")]: "servfail",
    "a.8.8.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.8.4.0.6.8.4.1.0.0.2.ip6.arpa": { PTR: ["six.example.com"] },
    "six.example.com": { AAAA: ["2001:4860:4860::888a"] },
    "private.example.com": { A: ["10.0.0.1"] },
    ...listing("list.test", { "7.100.51.198": "127.0.0.4", "8.4.8.8": "127.0.0.10" }),
    ...listing("refuses.test", { "1.4.8.8": "127.255.255.254" }),
    ...listing("everything.test", { "1.0.0.127": "127.0.0.2", "1.4.8.8": "127.0.0.2" }),
    ...listing("adverts.test", { "1.4.8.8": "203.0.113.80" }),
    "x.dead.test": { A: ["127.0.0.1"] },
    "*.broken.test": "servfail",
  });
  resolver = createResolver({ servers: dns.servers });
});
afterAll(() => dns.stop());

const egress = (localIp: string | undefined, ehloName: string) => ({
  ...{ id: "mail1", ehloName },
  ...(localIp === undefined ? {} : { localIp }),
});
test.each([
  ["8.8.4.1", "good.example.com", "fine", "8.8.4.1 is good.example.com, and back"],
  ["8.8.4.3", "third.example.com", "fine", "8.8.4.3 is third.example.com, and back"],
  [
    "8.8.4.3",
    "good.example.com",
    "wrong",
    "good.example.com, our name in EHLO, does not have the address 8.8.4.3",
  ],
  [
    "8.8.4.2",
    "other.example.com",
    "wrong",
    "8.8.4.2 is called other.example.com, which does not have this address",
  ],
  [
    "8.8.4.4",
    "good.example.com",
    "wrong",
    "8.8.4.4 has no name: let whoever gives you the address set its PTR record",
  ],
  ["8.8.4.5", "good.example.com", "unknown", "DNS did not tell"],
  ["2001:4860:4860:0::888A", "six.example.com", "fine", "is six.example.com"],
  ["10.0.0.1", "good.example.com", "unknown", "10.0.0.1 is a private address"],
  [undefined, "good.example.com", "fine", "8.8.4.1 is good.example.com"],
  [undefined, "other.example.com", "warning", "8.8.4.9 has no name"],
  [
    undefined,
    "nowhere.example.com",
    "warning",
    "nowhere.example.com, our name in EHLO, has no address in DNS",
  ],
  [undefined, "private.example.com", "unknown", "10.0.0.1 is a private address"],
  [undefined, "localhost", "unknown", "MAIL_HOSTNAME is not set"],
] as const)("the reverse DNS of %p with the name %s is %s", async (ip, name, state, say) => {
  expect(await checkReverse(egress(ip, name), resolver)).toEqual({
    state,
    say: expect.stringContaining(say),
  });
});

const list = (zone: string, more: Partial<Blocklist> = {}): Blocklist => ({
  ...{ zone, takesOut: true, hasIpv6: false, ...more },
});
test.each([
  ["list.test", "198.51.100.7", "wrong", "list.test lists 198.51.100.7 (127.0.0.4)"],
  ["list.test", "8.8.4.1", "fine", "list.test does not list 8.8.4.1"],
  ["refuses.test", "8.8.4.1", "unknown", "does not answer public resolvers; set TYTO_DNS_SERVERS"],
  ["everything.test", "8.8.4.1", "unknown", "it lists everything"],
  ["adverts.test", "8.8.4.1", "unknown", "the resolver answers 203.0.113.80, which no list does"],
  ["dead.test", "8.8.4.1", "unknown", "it does not list its own test address"],
  ["broken.test", "8.8.4.1", "unknown", "tells nothing"],
] as const)("%s says of %s: %s", async (zone, ip, state, say) => {
  expect((await askBlocklist(list(zone), [ip], resolver)).get(ip)).toEqual({
    state,
    say: expect.stringContaining(say),
  });
});

test("a list without IPv6 is not asked about it, and an advisory one only warns", async () => {
  expect((await askBlocklist(list("list.test"), ["2001:4860:4860::888a"], resolver)).size).toBe(0);
  const found = await askBlocklist(list("list.test", { takesOut: false }), ["198.51.100.7"], resolver);
  expect(found.get("198.51.100.7")?.state).toBe("warning");
});

/** The watch of one process over one address, with a bucket of its own. */
function startWatch(
  ports: Partial<WatchPorts> = {},
  since: Partial<{ localIp: string; ehloName: string }> = {},
) {
  const rows = new Map<string, { record: QuarantineRecord; revision: number }>();
  const events: StoredEvent[] = [];
  const clock = { nowMs: 1_000_000_000_000 };
  const watch = new EgressWatch({
    plan: {
      egresses: [{ id: "mail1", localIp: "8.8.4.8", ehloName: "good.example.com", since: "warm", ...since }],
      pools: [{ name: "default", members: [{ id: "mail1", weight: 1 }], overflows: false }],
      uses: [],
    },
    isStrict: true,
    resolver,
    blocklists: [list("list.test"), list("broken.test")],
    canBind: async () => true,
    quarantines: {
      async create(key, record) {
        if (rows.has(key)) return false;
        rows.set(key, { record, revision: 1 });
        watch.restore(key, record, 1);
        return true;
      },
      async update(key, record, revision) {
        if (rows.get(key)?.revision !== revision) return undefined;
        if (record === undefined) rows.delete(key);
        else rows.set(key, { record, revision: revision + 1 });
        watch.restore(key, record, revision + 1);
        return revision + 1;
      },
    },
    publish: async (subject, payload) => void events.push({ subject, payload } as StoredEvent),
    now: () => clock.nowMs,
    log: { info() {}, warn() {} },
    ...ports,
  });
  return { watch, events, clock, rows };
}
const quarterMs = 900_000;

test("a listed address is out until the list was asked twice and named it no more", async () => {
  const { watch, events, clock } = startWatch();
  await watch.checkLists();
  expect(watch.quarantineOf("mail1")).toBe("list.test lists 8.8.4.8 (127.0.0.10)");
  expect(events).toMatchObject([
    { subject: "egress.quarantined", payload: { egress: "mail1", ip: "8.8.4.8", kind: "listed" } },
  ]);
  await watch.checkLists();
  expect(events).toHaveLength(1);

  dns.set("8.4.8.8.list.test", undefined);
  for (const state of ["out", "out", "in"]) {
    expect([state, watch.quarantineOf("mail1") === undefined ? "in" : "out"]).toEqual([state, state]);
    clock.nowMs += quarterMs;
    await watch.checkLists();
  }
  expect(events[1]).toMatchObject({
    subject: "egress.released",
    payload: { kind: "listed", quarantinedAt: 1_000_000_000_000, id: "mail1.listed.1000000000000.released" },
  });
});

test("a list that says it again between two clean answers keeps the address out", async () => {
  const row = { A: ["127.0.0.10"], ttlS: 0 };
  dns.set("8.4.8.8.list.test", row);
  const { watch, clock, rows } = startWatch();
  await watch.checkLists();
  for (const entry of [undefined, row, undefined]) {
    dns.set("8.4.8.8.list.test", entry);
    clock.nowMs += quarterMs;
    await watch.checkLists();
  }
  expect(rows.get("mail1.listed")?.record.cleanChecks).toBe(1);
  expect(watch.quarantineOf("mail1")).toBeDefined();
});

test("checks of several processes within minutes count as one", async () => {
  dns.set("8.4.8.8.list.test", { A: ["127.0.0.10"], ttlS: 0 });
  const { watch, clock } = startWatch();
  await watch.checkLists();
  dns.set("8.4.8.8.list.test", undefined);
  clock.nowMs += quarterMs;
  for (let process = 0; process < 3; process++) await watch.checkLists();
  expect(watch.quarantineOf("mail1")).toBeDefined();
});

test("wrong reverse DNS takes an address out and right one lets it in; without strictness it warns", async () => {
  dns.set(ptr("8.8.4.8"), undefined);
  const { watch, events, clock } = startWatch({}, { ehloName: "eight.example.com" });
  await watch.checkNames();
  expect(watch.quarantineOf("mail1")).toContain("8.8.4.8 has no name");
  const lax = startWatch({ isStrict: false });
  await lax.watch.checkNames();
  expect(lax.watch.quarantineOf("mail1")).toBeUndefined();
  expect(lax.watch.checksOf("mail1")).toMatchObject([
    { name: "address", ok: true },
    { name: "reverse DNS", ok: false, say: expect.stringContaining("has no name") },
  ]);

  dns.set(ptr("8.8.4.8"), { PTR: ["eight.example.com"], ttlS: 0 });
  dns.set("eight.example.com", { A: ["8.8.4.8"], ttlS: 0 });
  clock.nowMs += 3_600_000;
  await watch.checkNames();
  expect(watch.quarantineOf("mail1")).toBeUndefined();
  expect(events.map(({ subject }) => subject)).toEqual(["egress.quarantined", "egress.released"]);
});

test("an address that this machine does not have is not used here, and nobody else is told so", async () => {
  const { watch, events } = startWatch({ canBind }, { localIp: "198.51.100.7" });
  await watch.checkNames();
  expect(watch.quarantineOf("mail1")).toBe("198.51.100.7 is not an address of this machine");
  expect(events).toEqual([]);
  expect([await canBind("127.0.0.1"), await canBind("198.51.100.7")]).toEqual([true, false]);
});

test("private addresses are not looked up at lists", async () => {
  const before = dns.queries.length;
  const { watch } = startWatch({}, { localIp: "10.1.2.3" });
  await watch.checkLists();
  expect(dns.queries.length).toBe(before);
});
