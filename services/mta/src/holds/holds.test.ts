import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import type { Bucket, Bus } from "@tyto/bus";
import { startNats, type TestNats } from "@tyto/bus/testing";
import { Address, defaultOrganization, OrganizationId, type Payload } from "@tyto/contracts";
import { until } from "../../../../test/parts/until.ts";
import { createHolds, type Holds } from "./holds.ts";

let nats: TestNats;
let bus: Bus;
beforeAll(async () => {
  nats = await startNats({ users: true });
  bus = await nats.connect("mta");
});
afterAll(() => nats.stop());

type Told = Payload<"sending.held"> | Payload<"sending.released">;
const clock = { nowMs: 1_800_000_000_000 };
const log = { info() {}, warn() {} };
const minuteMs = 60_000;

async function open(told: Told[] = []) {
  return await createHolds({
    bucket: bus.bucket("HOLDS"),
    async publish(subject, payload) {
      told.push(payload as Told);
      await (bus.publish as (subject: string, payload: Told) => Promise<void>)(subject, payload as Told);
    },
    now: () => clock.nowMs,
    random: () => 0,
    log,
  });
}

const entry = {
  organizationId: defaultOrganization,
  campaign: "spring",
  recipient: Address.parse("bob@Example.net"),
};

beforeEach(() => nats.clear());

describe("a hold", () => {
  test.each([
    ["everything", "*", "all sending"],
    ["organization", "default", "the organization default"],
    ["campaign", "default/spring", "the campaign default/spring"],
    ["campaign", "spring", "the campaign spring"],
    ["site", "mx.example.net", "the site mx.example.net"],
    ["domain", "example.net", "the domain example.net"],
  ] as const)("of %p %p keeps what it names, says why, and is felt at once", async (scope, id, name) => {
    const holds = await open();
    expect(holds.leave(entry, "mx.example.net")).toEqual({ kind: "go" });
    await holds.hold({ scope, id, why: "the list is old", by: "ann", untilMs: clock.nowMs + minuteMs });
    expect(holds.leave(entry, "mx.example.net")).toEqual({
      kind: "wait",
      untilMs: clock.nowMs + minuteMs,
      why: `${name} is held by ann: the list is old`,
    });
    const other = { ...entry, campaign: "summer", recipient: Address.parse("x@other.example") };
    const isFree = scope !== "everything" && scope !== "organization";
    expect(holds.leave(other, "mx.other.example").kind).toBe(isFree ? "go" : "wait");
    holds.stop();
  });

  test.each([
    ["organization", "default", "the organization default at google"],
    ["campaign", "default/spring", "the campaign default/spring at google"],
    ["campaign", "spring", "the campaign spring at google"],
  ] as const)("of %p %p at one site keeps it there and nowhere else", async (scope, id, name) => {
    const told: Told[] = [];
    const holds = await open(told);
    const wanted = { scope, id, site: "google", why: "spam, they say", by: "ann" };
    const hold = await holds.hold({ ...wanted, untilMs: clock.nowMs + minuteMs });
    expect(holds.leave(entry, "google")).toMatchObject({
      kind: "wait",
      why: `${name} is held by ann: spam, they say`,
    });
    expect(holds.leave(entry, "yahoo").kind).toBe("go");
    const other = { ...entry, organizationId: OrganizationId.parse("acme"), campaign: "summer" };
    expect(holds.leave(other, "google").kind).toBe("go");

    await holds.hold({ scope, id, why: "everywhere", by: "bea" });
    expect(holds.leave(entry, "yahoo")).toMatchObject({ why: expect.stringContaining("everywhere") });
    expect(await holds.release(`${scope}:${id}`, "bea")).toBe(true);
    expect(holds.list()).toEqual([hold]);
    expect(await holds.release(`${scope}:${id}@google`, "ann")).toBe(true);
    expect(holds.leave(entry, "google").kind).toBe("go");
    expect(told.map(({ site }) => site)).toEqual(["google", undefined, undefined, "google"]);
    expect(new Set(told.map((one) => one.id)).size).toBe(4);
    holds.stop();
  });

  test("at one site is known to every process, and after a restart", async () => {
    const [here, there] = [await open(), await open()];
    const hold = { scope: "organization", id: "default", site: "google", why: "w", by: "ann" } as const;
    await here.hold(hold);
    await until("the other process knows", () => there.leave(entry, "google").kind === "wait");
    const late = await open();
    expect(late.leave(entry, "google").kind).toBe("wait");
    expect(late.leave(entry, "yahoo").kind).toBe("go");
    for (const holds of [here, there, late]) holds.stop();
  });

  test("without an end makes entries look again after ten minutes, so that a release is felt", async () => {
    const holds = await open();
    await holds.hold({ scope: "site", id: "google", why: "for a while", by: "ann" });
    expect(holds.leave(entry, "google")).toMatchObject({
      kind: "wait",
      untilMs: clock.nowMs + 10 * minuteMs,
    });
    expect(await holds.release("site:google", "bea")).toBe(true);
    expect(await holds.release("site:google", "bea")).toBe(false);
    expect(holds.leave(entry, "google").kind).toBe("go");
    holds.stop();
  });

  test("of every process is known to every other, and its end too", async () => {
    const [here, there] = [await open(), await open()];
    const ended: string[] = [];
    there.onReleased(({ key }) => ended.push(key));
    await here.hold({ scope: "campaign", id: "default/a..b.", why: "w", by: "ann" });
    await until("the other process knows", () => there.list().length === 1);
    const late = await open();
    expect(late.list().map(({ key }) => key)).toEqual(["campaign:default/a..b."]);
    await here.release("campaign:default/a..b.", "ann");
    await until("the other process knows the end", () => ended.length === 1);
    for (const holds of [here, there, late]) holds.stop();
  });

  test("tells its beginning and its end as events that say the same each time", async () => {
    const told: Told[] = [];
    const holds = await open(told);
    const sinceMs = clock.nowMs;
    await holds.hold({
      scope: "campaign",
      id: "acme/spring",
      why: "w",
      by: "rule:x",
      untilMs: sinceMs + minuteMs,
    });
    clock.nowMs += minuteMs;
    expect(holds.list()).toEqual([]);
    await holds.expire();
    expect(told).toEqual([
      expect.objectContaining({
        organizationId: "acme",
        scopeId: "acme/spring",
        by: "rule:x",
        at: sinceMs,
        untilAt: sinceMs + minuteMs,
      }),
      expect.objectContaining({
        organizationId: "acme",
        scopeId: "acme/spring",
        by: "time",
        at: sinceMs + minuteMs,
        heldAt: sinceMs,
      }),
    ]);
    expect(new Set(told.map(({ id }) => id)).size).toBe(2);
    holds.stop();
  });
});

describe("of two holds of the same", () => {
  const hold = (holds: Holds, by: string, minutes: number | undefined) =>
    holds.hold({
      scope: "organization",
      id: "default",
      why: by,
      by,
      ...(minutes === undefined ? {} : { untilMs: clock.nowMs + minutes * minuteMs }),
    });

  test("a person's stays when a rule or breaker wants another", async () => {
    const holds = await open();
    await hold(holds, "ann", 5);
    expect((await hold(holds, "rule:x", 60)).by).toBe("ann");
    expect((await hold(holds, "breaker:bounces", 60)).by).toBe("ann");
    holds.stop();
  });

  test("a machine's is made longer by a machine, never shorter, and gives way to a person", async () => {
    const holds = await open();
    await hold(holds, "rule:x", 60);
    expect((await hold(holds, "breaker:bounces", 5)).by).toBe("rule:x");
    expect((await hold(holds, "breaker:bounces", 90)).by).toBe("breaker:bounces");
    expect((await hold(holds, "ann", 5)).by).toBe("ann");
    expect(holds.list()).toHaveLength(1);
    holds.stop();
  });

  test("the one that ends later decides between different scopes", async () => {
    const holds = await open();
    await hold(holds, "ann", 5);
    await holds.hold({
      scope: "site",
      id: "google",
      why: "w",
      by: "bea",
      untilMs: clock.nowMs + 9 * minuteMs,
    });
    expect(holds.leave(entry, "google")).toMatchObject({ untilMs: clock.nowMs + 9 * minuteMs });
    holds.stop();
  });
});

test("what makes no sense is refused with words", async () => {
  const holds = await open();
  const base = { scope: "site", id: "google", why: "w", by: "ann" } as const;
  await expect(holds.hold({ ...base, untilMs: clock.nowMs })).rejects.toThrow("must end in the future");
  await expect(holds.hold({ ...base, by: "rule:x" })).rejects.toThrow("without an end");
  await expect(holds.hold({ ...base, id: "*" })).rejects.toThrow("everything is held as *");
  await expect(holds.hold({ ...base, site: "google" })).rejects.toThrow("only an organization or a campaign");
  await expect(holds.hold({ ...base, scope: "everything" })).rejects.toThrow("everything is held as *");
  holds.stop();
});

test("there are never more than 2,000", async () => {
  const present = Array.from({ length: 2_000 }, (_, i) => ({
    key: `site:s${i}`,
    scope: "site" as const,
    id: `s${i}`,
    why: "w",
    by: "ann",
    sinceMs: 0,
  }));
  const full: Bucket<"HOLDS"> = {
    ...bus.bucket("HOLDS"),
    async watch(onChange) {
      for (const hold of present) onChange(`site/${hold.id}`, hold, 1);
      return { stop() {} };
    },
  };
  const holds = await createHolds({
    bucket: full,
    publish: async () => {},
    now: () => clock.nowMs,
    random: () => 0,
    log,
  });
  await expect(holds.hold({ scope: "site", id: "one-more", why: "w", by: "ann" })).rejects.toThrow(
    "2000 holds already",
  );
});
