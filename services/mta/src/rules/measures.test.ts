/** What rules do with the mail of sites, by several mta processes on one nats-server. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import type { Bus } from "@tyto/bus";
import { startNats, type TestNats } from "@tyto/bus/testing";
import { Address, defaultOrganization, deliveryId, newMessageId } from "@tyto/contracts";
import { until } from "../../../../test/parts/until.ts";
import { type Gates, openGates } from "../gates.ts";
import { createProfiles } from "../shaping/profiles.ts";
import { parseRuleFile } from "./file.ts";

let nats: TestNats;
let bus: Bus;
const processes: Gates[] = [];
const clock = { nowMs: 0 };
beforeAll(async () => {
  nats = await startNats({ users: true });
  bus = await nats.connect("mta");
});
beforeEach(async () => {
  clock.nowMs = 1_800_000_000_000;
  await nats.clear();
});
afterEach(() => Promise.all(processes.splice(0).map((gates) => gates.stop())));
afterAll(() => nats.stop());

const common = { when: { pattern: "blocked using" }, threshold: { count: 2, withinS: 60 }, forS: 3_600 };
const listed = { id: "listed", about: "On a list", action: "switch-pool", pool: "spare", ...common };
const hopeless = { id: "hopeless", about: "No use", action: "bounce", ...common };

async function start(...rules: object[]): Promise<Gates> {
  const gates = await openGates({
    ...{ bus, now: () => clock.nowMs, random: () => 0.5, log: { info() {}, warn() {} } },
    profiles: createProfiles({ connectionsMax: 20 }),
    rules: parseRuleFile(JSON.stringify({ rules })),
  });
  processes.push(gates);
  return gates;
}

const reply = { code: 554, enhanced: "5.7.1", text: "Client host blocked using a list" };
function refuse(gates: Gates): void {
  const messageId = newMessageId();
  gates.see({
    atMs: clock.nowMs,
    entry: {
      ...{ messageId, deliveryId: deliveryId(messageId, 0), organizationId: defaultOrganization },
      ...{ recipient: Address.parse("bob@example.net"), attempt: 1 },
    },
    site: { id: "mx.example.net" },
    egress: { id: "mail1" },
    ...{ outcome: "bounced", reason: "reputation.listed", hard: true, reply },
  });
}
const poolOf = ({ rules }: Gates) => rules.poolFor("mail1", "mx.example.net");
const isGivenUp = ({ rules }: Gates) =>
  rules.bounces({ id: "mx.example.net" }, "reputation.listed", reply) !== undefined;

test("where one process sends a site's mail by another pool, all do, and a restart goes on with it", async () => {
  const [one, other] = [await start(listed), await start(listed)];
  refuse(one);
  expect(poolOf(one)).toBeUndefined();
  refuse(one);
  expect(poolOf(one)).toBe("spare");
  await until("the other one knows", () => poolOf(other) === "spare");
  expect(other.rules.measures("mx.example.net")).toEqual(one.rules.measures());
  // The same trouble seen by both is one measure, and nobody makes it longer.
  clock.nowMs += 60_000;
  for (let n = 0; n < 4; n++) refuse(other);
  await other.rules.tidy();
  expect(other.rules.measures()).toMatchObject([{ sinceMs: clock.nowMs - 60_000 }]);

  const third = await start(listed);
  expect(poolOf(third)).toBe("spare");
  clock.nowMs += 3_600_000;
  expect([one, other, third].map(poolOf)).toEqual([undefined, undefined, undefined]);
  await until("it is removed", async () => (await bus.bucket("MEASURES").get(key)) === undefined);
});
const key = "switch-pool/mail1/mx%2Eexample%2Enet";

test("what both processes begin in the same moment is one measure", async () => {
  const [one, other] = [await start(listed), await start(listed)];
  const stored: string[] = [];
  const watch = await bus.bucket("MEASURES").watch((name) => stored.push(name));
  for (let n = 0; n < 2; n++) for (const gates of [one, other]) refuse(gates);
  expect([poolOf(one), poolOf(other)]).toEqual(["spare", "spare"]);
  await Promise.all([one.rules.tidy(), other.rules.tidy()]);
  await until("it is told", () => stored.length > 0);
  await until("both know the same", () => Bun.deepEquals(one.rules.measures(), other.rules.measures()));
  expect(stored).toEqual([key]);
  watch.stop();
});

test("a person ends it for all processes, and the rule then looks anew", async () => {
  const [one, other] = [await start(listed), await start(listed)];
  for (let n = 0; n < 2; n++) refuse(one);
  await until("the other one knows", () => poolOf(other) === "spare");
  expect(await other.rules.release("switch-pool:mail1/mx.example.net")).toBe(true);
  expect(await other.rules.release("switch-pool:mail1/mx.example.net")).toBe(false);
  await until("the first one knows", () => poolOf(one) === undefined);
  refuse(one);
  expect(poolOf(one)).toBeUndefined();
  refuse(one);
  expect(poolOf(one)).toBe("spare");
});

test("what is given up after a threshold is so in all processes, and after a restart", async () => {
  const [one, other] = [await start(hopeless), await start(hopeless)];
  refuse(one);
  expect(isGivenUp(one)).toBe(false);
  refuse(one);
  expect(isGivenUp(one)).toBe(true);
  await until("the other one knows", () => isGivenUp(other));
  expect(isGivenUp(await start(hopeless))).toBe(true);
  expect(other.rules.measures()).toMatchObject([{ key: "bounce:hopeless/mx.example.net" }]);
  expect(await other.rules.release("bounce:hopeless/mx.example.net")).toBe(true);
  await until("it is over everywhere", () => !isGivenUp(one));
});

test("a rule that is switched off, or is another one since, moves nothing any more", async () => {
  const one = await start(listed);
  for (let n = 0; n < 2; n++) refuse(one);
  await until("it is stored", async () => (await bus.bucket("MEASURES").get(key)) !== undefined);
  const [off, moved] = [await start(), await start({ ...listed, pool: "third" })];
  expect([off, moved].map(poolOf)).toEqual([undefined, undefined]);
  expect(off.rules.measures()).toEqual([]);
});

const wanted = { site: "google", why: "they asked", by: "ann", isAboveCeiling: false };
const rateOf = ({ shaping }: Gates) => {
  shaping.leave({ egress: "mail1", site: "google" }, "google");
  return shaping.status("google")[0]?.ratePerMin;
};

test("limits that an operator sets are in force in all processes and after a restart, until they end or are released", async () => {
  const [one, other] = [await start(), await start()];
  expect([rateOf(one), rateOf(other)]).toEqual([100, 100]);
  const untilMs = clock.nowMs + 3_600_000;
  const set = await one.limitSite({ ...wanted, rate: "60/min", connectionsMax: 2, untilMs });
  expect(set).toEqual({
    ...{ key: "limit:google", action: "limit", site: "google", rate: "60/min", connectionsMax: 2 },
    ...{ why: "they asked", by: "ann", sinceMs: clock.nowMs, untilMs },
  });
  expect(rateOf(one)).toBe(60);
  await until("the other one knows", () => rateOf(other) === 60);
  expect(other.rules.measures("google")).toEqual([set]);

  await other.limitSite({ ...wanted, rate: "30/min", by: "bea", untilMs });
  await until("the first one knows of those after them", () => rateOf(one) === 30);
  expect(one.rules.measures()).toMatchObject([{ by: "bea", rate: "30/min" }]);
  const third = await start();
  expect(rateOf(third)).toBe(30);
  expect(await third.rules.release("limit:google")).toBe(true);
  await until("it is over everywhere", () => [one, other, third].every((gates) => rateOf(gates) === 100));

  await one.limitSite({ ...wanted, rate: "60/min", untilMs });
  clock.nowMs = untilMs;
  expect(rateOf(one)).toBe(100);
  expect(one.rules.measures()).toEqual([]);
});

test("what was learned under an operator's limits is taken over by a restart", async () => {
  const one = await start();
  await one.limitSite({ ...wanted, rate: "60/min", untilMs: clock.nowMs + 3_600_000 });
  one.shaping.leave({ egress: "mail1", site: "google" }, "google");
  one.shaping.slow({ egress: "mail1", site: "google" }, "google", "slow down");
  expect(one.shaping.status("google")).toMatchObject([{ state: "slowed", ratePerMin: 30 }]);
  await one.stop();
  processes.length = 0;
  expect((await start()).shaping.status("google")).toMatchObject([{ state: "slowed", ratePerMin: 30 }]);
});

test("limits that make no sense are refused with words, and more than the site is ever given unless that is asked for", async () => {
  const one = await start();
  const untilMs = clock.nowMs + 3_600_000;
  const refused = async (more: object) =>
    await one.limitSite({ ...wanted, untilMs, ...more }).catch((error: Error) => error.message);
  expect(await refused({ rate: "400/min" })).toContain("google is sent 300 messages a minute");
  expect(await refused({})).toContain("need a rate, connections, or both");
  expect(await refused({ rate: "60/min", untilMs: clock.nowMs })).toContain("within a day");
  expect(await refused({ rate: "60/min", untilMs: clock.nowMs + 2 * 86_400_000 })).toContain("within a day");
  expect(one.rules.measures()).toEqual([]);
  await one.limitSite({ ...wanted, rate: "400/min", untilMs, isAboveCeiling: true });
  expect(rateOf(one)).toBe(400);
});
