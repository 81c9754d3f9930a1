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
  expect(one.rules.measures()).toEqual(other.rules.measures());
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
