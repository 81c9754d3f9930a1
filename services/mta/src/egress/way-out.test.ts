/** The way out on a real nats-server with the mta's own rights, and DNS of this process. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type Bus, done } from "@tyto/bus";
import { startNats, type TestNats } from "@tyto/bus/testing";
import { Address, Domain, defaultOrganization, type StoredEvent, type Traffic } from "@tyto/contracts";
import { createResolver } from "@tyto/dns";
import { type DnsServer, startDns } from "@tyto/dns/testing";
import { silentLog } from "@tyto/service";
import { parsePlan } from "./plan.ts";
import { startWayOut, type WayOut } from "./way-out.ts";

setDefaultTimeout(120_000);

let nats: TestNats;
let dns: DnsServer;
let recorder: Bus;
const events: StoredEvent[] = [];
const ways: WayOut[] = [];
const noon = Date.UTC(2026, 10, 21, 12);
const soonMs = 60_000;

beforeAll(async () => {
  [nats, dns] = await Promise.all([startNats({ users: true }), startDns()]);
  recorder = await nats.connect("recorder");
  await recorder.consumeBatches("recorder", { batchMax: 50, waitMs: 5 }, async (batch) => {
    events.push(...batch.map(({ event }) => event));
    return done;
  });
});
afterAll(async () => {
  await Promise.all(ways.map((way) => way.stop()));
  await nats.stop();
  await dns.stop();
});

async function startOne(plan: string): Promise<WayOut> {
  const way = await startWayOut({
    bus: await nats.connect("mta"),
    plan: parsePlan(plan),
    isStrict: true,
    resolver: createResolver({ servers: dns.servers }),
    smtpPort: 25,
    now: () => noon,
    log: silentLog,
  });
  ways.push(way);
  return way;
}
const useOf = () => ({ connections: 3, lastMinute: { delivered: 5, deferred: 2, bounced: 1 } });
const google = { id: "google", provider: "google" };
const entry = (traffic: Traffic) => ({
  recipient: Address.parse("ann@gmail.com"),
  organizationId: defaultOrganization,
  domain: Domain.parse("example.com"),
  traffic,
});
/** Until nothing is left of the day. Who is told that others count at the moment asks again, as the mta does. */
async function sendAll(way: WayOut): Promise<number> {
  for (let count = 0; ; ) {
    const choice = await way.choose(entry("transactional"), google, noon);
    if (choice.kind === "egress") count++;
    else if (choice.kind !== "wait" || choice.untilMs > noon + soonMs) return count;
    else await new Promise((resolve) => setImmediate(resolve));
  }
}

const young = `
[egress.young]
ehlo = "young.example.com"
warming = "new"
`;

test("two processes and a later one send no more than the cap of the day together, and a stop gives back", async () => {
  const [one, other] = [await startOne(young), await startOne(young)];
  for (let n = 0; n < 7; n++)
    expect((await one.choose(entry("transactional"), google, noon)).kind).toBe("egress");
  await one.stop();
  const counts = await Promise.all([sendAll(other), startOne(young).then(sendAll)]);
  expect(7 + counts.reduce((sum, count) => sum + count, 0)).toBe(50);
  // The third process may have taken the last ones.
  await until(() => other.pools(useOf)[0]?.egresses[0]?.warming?.used === 50);
  expect(other.pools(useOf)).toMatchObject([
    {
      pool: "default",
      isDefault: true,
      egresses: [
        {
          egress: "young",
          state: "in",
          weight: 1,
          ...useOf(),
          warming: { say: "day 1 of 30, 50 of 50 used", cap: 50, used: 50 },
        },
      ],
    },
  ]);
});

test("an address without a name in DNS is out of its pool, for this process and the next, and told", async () => {
  const plan = `
[egress.nameless]
ip = "127.0.0.1"
ehlo = "nameless.example.com"
warming = "warm"

[egress.elsewhere]
ip = "8.8.4.4"
ehlo = "elsewhere.example.com"
warming = "warm"

[pool.one]
members = ["nameless"]

[pool.two]
members = ["elsewhere"]
`;
  const way = await startOne(plan);
  const outOf = (from: WayOut) =>
    from.pools(useOf).map(({ egresses: [first] }) => `${first?.state} ${first?.why ?? ""}`);
  await until(() => outOf(way)[1]?.startsWith("out") === true && events.length > 0);
  expect(outOf(way)).toEqual(["in ", "out 8.8.4.4 is not an address of this machine"]);
  expect(events).toMatchObject([
    {
      subject: "egress.quarantined",
      payload: {
        egress: "elsewhere",
        ip: "8.8.4.4",
        kind: "reverse-dns",
        why: expect.stringContaining("8.8.4.4 has no name"),
      },
    },
  ]);
  expect(await way.choose(entry("bulk"), google, noon, "two")).toMatchObject({ kind: "wait" });
  expect(await way.choose(entry("bulk"), google, noon, "one")).toMatchObject({ kind: "egress" });

  const next = await startOne(plan);
  expect(outOf(next)[1]).toContain("out ");
});

async function until(condition: () => boolean): Promise<void> {
  const endMs = performance.now() + 20_000;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error("it did not come to that");
    await Bun.sleep(5);
  }
}
