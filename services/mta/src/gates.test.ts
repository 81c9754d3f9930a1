import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import type { Bus } from "@tyto/bus";
import { startNats, type TestNats } from "@tyto/bus/testing";
import { Address, defaultOrganization, deliveryId, newMessageId, type Payload } from "@tyto/contracts";
import { until } from "../../../test/parts/until.ts";
import { hearFeedback } from "./feedback.ts";
import { type Gates, openGates } from "./gates.ts";
import type { Leave, Observation } from "./observation.ts";
import { parseRuleFile } from "./rules/file.ts";
import { createProfiles } from "./shaping/profiles.ts";

let nats: TestNats;
let bus: Bus;
let bounce: Bus;
let gates: Gates;
const clock = { nowMs: 1_800_000_000_000 };

beforeAll(async () => {
  nats = await startNats({ users: true });
  [bus, bounce] = await Promise.all([nats.connect("mta"), nats.connect("bounce")]);
});
beforeEach(async () => {
  await nats.clear();
  gates = await open();
});
afterEach(() => gates.stop());
afterAll(() => nats.stop());

const open = () =>
  openGates({
    bus,
    profiles: createProfiles({ connectionsMax: 20 }),
    rules: parseRuleFile('{"on": ["deferred-for-good"]}'),
    now: () => clock.nowMs,
    random: () => 0.5,
    log: { info() {}, warn() {} },
  });

/** As the mta asks: holds and breakers first, then for a token of the site. */
const leave = (
  entry: ReturnType<typeof entryOf>,
  site: { id: string; provider: string },
  from: string,
): Leave => {
  const free = gates.isFree(entry, site.id);
  return free.kind === "wait" ? free : gates.shaping.leave({ egress: from, site: site.id }, site.provider);
};

const yahoo = { id: "yahoo", provider: "yahoo" };
const egress = "192.0.2.1";

function entryOf(campaign?: string) {
  const messageId = newMessageId();
  return {
    messageId,
    deliveryId: deliveryId(messageId, 0),
    organizationId: defaultOrganization,
    recipient: Address.parse("bob@yahoo.com"),
    attempt: 1,
    ...(campaign === undefined ? {} : { campaign }),
  };
}
const see = (entry: ReturnType<typeof entryOf>, more: Partial<Observation>) =>
  gates.see({ atMs: clock.nowMs, entry, site: yahoo, egress: { id: egress }, outcome: "delivered", ...more });

const complaint = (messageId: string, times: number): Payload<"mail.complained"> =>
  ({
    ...{
      id: `${messageId}.${times}.complained`,
      at: clock.nowMs,
      organizationId: defaultOrganization,
      messageId,
    },
    ...{ feedback: "abuse", format: "arf", rawId: "raw1" },
  }) as Payload<"mail.complained">;

test("complaints that come in by the bus hold the campaign they are about, until a person releases it", async () => {
  const feedback = await hearFeedback(bus, [gates.breakers.hear]);
  for (let i = 0; i < 3; i++) {
    const entry = entryOf("spring");
    see(entry, {});
    await bounce.publish("mail.complained", complaint(entry.messageId, i));
  }
  await until("the campaign is held", () => gates.holds.list().length === 1);
  expect(leave(entryOf("spring"), yahoo, egress)).toMatchObject({
    kind: "wait",
    why: expect.stringContaining("the campaign default/spring is held by breaker:complaints: 3 complaints"),
  });
  expect(leave(entryOf("summer"), yahoo, egress).kind).toBe("go");
  expect(leave(entryOf(), yahoo, egress).kind).toBe("go");

  expect(await gates.holds.release("campaign:default/spring", "ann")).toBe(true);
  for (let i = 0; i < 8; i++) expect(gates.isFree(entryOf("spring"), "yahoo").kind).toBe("go");
  const told: string[] = [];
  await bus.past(
    ["sending.held", "sending.released"],
    { sinceMs: 0, untilSequence: Number.MAX_SAFE_INTEGER },
    ({ subject, payload }) => told.push(`${subject} ${payload.scopeId} ${payload.by}`),
  );
  expect(told).toEqual([
    "sending.held default/spring breaker:complaints",
    "sending.released default/spring ann",
  ]);
  await feedback.stop();
});

test("a rule that fires stops the site for as long as it says; mail to others goes on", () => {
  const text = "[TS03] All messages from 192.0.2.1 will be permanently deferred; Retrying will NOT succeed.";
  const reply = { code: 421, enhanced: "4.7.1", text };
  see(entryOf(), { outcome: "deferred", reason: "rate.limited", reply });
  expect(leave(entryOf(), yahoo, egress)).toMatchObject({
    kind: "wait",
    untilMs: clock.nowMs + 6 * 3_600_000,
    why: expect.stringContaining("Yahoo puts off everything from this address for good"),
  });
  expect(leave(entryOf(), { id: "google", provider: "google" }, egress).kind).toBe("go");
  expect(leave(entryOf(), yahoo, "192.0.2.2").kind).toBe("go");
  expect(gates.giveUp(yahoo)("rate.limited", reply)).toContain("given up by the rule deferred-for-good");
  expect(gates.giveUp(yahoo)("greylisted", { code: 451, text: "later" })).toBeUndefined();
});

test("a held message takes no token of its site, and one that was not tried gives it back", async () => {
  await gates.holds.hold({ scope: "organization", id: "default", why: "w", by: "ann" });
  for (let i = 0; i < 100; i++) expect(leave(entryOf(), yahoo, egress).kind).toBe("wait");
  await gates.holds.release("organization:default", "ann");
  const burst = () => {
    let gone = 0;
    while (gone < 100 && leave(entryOf(), yahoo, egress).kind === "go") gone += 1;
    return gone;
  };
  expect(burst()).toBe(8);
  gates.shaping.giveBack({ egress, site: "yahoo" });
  expect(burst()).toBe(1);
});

test("what was learned outlives the process", async () => {
  see(entryOf(), { outcome: "deferred", reason: "rate.limited", reply: { code: 421, text: "slow down" } });
  for (let i = 0; i < 7; i++)
    see(entryOf("spring"), { outcome: "bounced", reason: "mailbox.unknown", hard: true });
  await gates.stop();
  gates = await open();
  expect(gates.shaping.status("yahoo")).toMatchObject([{ state: "slowed", ratePerMin: 20 }]);
  see(entryOf("spring"), { outcome: "bounced", reason: "mailbox.unknown", hard: true });
  await until("the eighth holds", () => gates.holds.list().length === 1);
});
