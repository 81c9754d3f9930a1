import { describe, expect, test } from "bun:test";
import { Address, Domain, defaultOrganization } from "@tyto/contracts";
import type { Leave } from "../observation.ts";
import { createEgresses, type EgressPorts } from "./egresses.ts";
import { type EgressPlan, type EgressPool, plainPlan } from "./plan.ts";

const entry = (recipient: string) => ({
  recipient: Address.parse(recipient),
  organizationId: defaultOrganization,
  domain: Domain.parse("example.com"),
});
const plan = (members: Record<string, number>, pool: Partial<EgressPool> = {}): EgressPlan => ({
  egresses: Object.keys(members).map((id) => ({ id, ehloName: `${id}.example.com`, since: "warm" })),
  pools: [
    {
      name: "default",
      members: Object.entries(members).map(([id, weight]) => ({ id, weight })),
      overflows: false,
      ...pool,
    },
  ],
  uses: [],
});
const egressesOf = (of: EgressPlan, ports: Partial<EgressPorts> = {}) =>
  createEgresses({
    plan: of,
    leave: async () => ({ kind: "go" }),
    giveBack() {},
    quarantineOf: () => undefined,
    ...ports,
  });
const google = { id: "google", provider: "google" };
const idOf = async (choice: ReturnType<ReturnType<typeof createEgresses>["choose"]>) => {
  const chosen = await choice;
  return chosen.kind === "egress" ? chosen.egress.id : chosen.kind;
};

test("without a plan everything leaves through the system's address", async () => {
  const egresses = egressesOf(plainPlan("mail.example.com"));
  expect(await egresses.choose(entry("a@example.net"), { id: "mx.example.net" }, 0)).toMatchObject({
    kind: "egress",
    egress: { id: "system", ehloName: "mail.example.com" },
  });
});

test("mail to a provider is shared by the weights, and every attempt of one message takes the same way", async () => {
  const egresses = egressesOf(plan({ a: 3, b: 1 }));
  const counts: Record<string, number> = {};
  for (let n = 0; n < 4_000; n++) {
    const to = entry(`user${n}@gmail.com`);
    const first = await idOf(egresses.choose(to, google, n));
    expect(await idOf(egresses.choose(to, google, n + 3_600_000))).toBe(first);
    counts[first] = (counts[first] ?? 0) + 1;
  }
  expect((counts.a ?? 0) / 4_000).toBeWithin(0.72, 0.78);
});

test("mail to a quiet site keeps to one address; sites are shared by the weights", async () => {
  const egresses = egressesOf(plan({ a: 1, b: 1 }));
  const used = new Set<string>();
  for (let n = 0; n < 50; n++)
    used.add(await idOf(egresses.choose(entry(`user${n}@one.example`), { id: "mx.one.example" }, n)));
  expect(used.size).toBe(1);
  const firsts = await Promise.all(
    Array.from({ length: 400 }, (_, n) =>
      idOf(egresses.choose(entry("x@y.example"), { id: `mx${n}.example` }, 0)),
    ),
  );
  expect(firsts.filter((id) => id === "a").length).toBeWithin(160, 240);
});

test("a site with much mail in a minute is spread over the pool", async () => {
  const egresses = egressesOf(plan({ a: 1, b: 1 }));
  const used = new Set<string>();
  for (let n = 0; n < 200; n++)
    used.add(await idOf(egresses.choose(entry(`user${n}@one.example`), { id: "mx.one.example" }, 0)));
  expect([...used].toSorted()).toEqual(["a", "b"]);
});

test("what one address may not send now, another of the pool does", async () => {
  const told: string[] = [];
  const wait: Leave = { kind: "wait", untilMs: 5_000, why: "day 6 of 30, 1,100 of 1,100 used" };
  const egresses = egressesOf(plan({ cold: 1_000, warm: 1 }), {
    leave: async ({ id }) => (id === "cold" ? wait : { kind: "go" }),
    giveBack: ({ id }) => told.push(id),
  });
  const choice = await egresses.choose(entry("a@gmail.com"), google, 0);
  expect(choice).toMatchObject({ kind: "egress", egress: { id: "warm" } });
  if (choice.kind === "egress") choice.giveBack();
  expect(told).toEqual(["warm"]);
});

test("a quarantined address is left out, and mail waits with the reasons when no other is free", async () => {
  const quarantined: Record<string, string> = { a: "listed at zen.spamhaus.org" };
  const wait: Leave = { kind: "wait", untilMs: 5_000, why: "day 1 of 30, 50 of 50 used" };
  const ports = { quarantineOf: (id: string) => quarantined[id], leave: async () => wait };
  expect(await egressesOf(plan({ a: 1, b: 1 }), ports).choose(entry("a@gmail.com"), google, 0)).toEqual({
    kind: "wait",
    untilMs: 5_000,
    why: expect.stringMatching(
      /^no address of the pool default .*a is out of its pool: listed at zen\.spamhaus\.org/,
    ),
  });
  const alone = await egressesOf(plan({ a: 1 }), ports).choose(entry("a@gmail.com"), google, 1_000);
  expect(alone).toMatchObject({ kind: "wait", untilMs: 301_000 });
});

test("a pool that overflows says so instead of waiting", async () => {
  const egresses = egressesOf(plan({ a: 1 }, { overflows: true }), { quarantineOf: () => "no PTR record" });
  expect(await egresses.choose(entry("a@gmail.com"), google, 0)).toEqual({
    kind: "overflow",
    untilMs: 300_000,
    why: "no address of the pool default may send this now; a is out of its pool: no PTR record",
  });
});

test("which addresses refuse mail to a site is told until they take it, are asked no more, or are back in their pool", async () => {
  let quarantine: string | undefined = "listed";
  let leave: Leave = { kind: "wait", untilMs: 3_600_000, why: "50 of 50 used" };
  const egresses = egressesOf(plan({ a: 1, b: 1 }), {
    quarantineOf: (id) => (id === "a" ? quarantine : undefined),
    leave: async () => leave,
  });
  const mail = { ...entry("a@gmail.com"), traffic: "bulk" } as const;
  await egresses.choose(mail, google, 0);
  const full = { egress: "b", traffic: "bulk", why: "b: 50 of 50 used" } as const;
  const listed = { egress: "a", traffic: "bulk", why: "a is out of its pool: listed" } as const;
  expect(egresses.refusedAt("google", 1)).toEqual([listed, full]);
  expect(egresses.refusedAt("yahoo", 1)).toEqual([]);
  expect([...egresses.refusedSites(1)]).toEqual(["google"]);
  // Whoever waits asks again within 15 min.
  expect(egresses.refusedAt("google", 900_001)).toEqual([]);
  quarantine = undefined;
  expect(egresses.refusedAt("google", 1)).toEqual([full]);
  leave = { kind: "go" };
  for (let n = 0; n < 50; n++) await egresses.choose({ ...mail, ...entry(`user${n}@gmail.com`) }, google, 2);
  expect(egresses.refusedAt("google", 3)).toEqual([]);
});

const two: EgressPlan = {
  ...plan({ a: 1, b: 1 }),
  pools: [
    { name: "default", members: [{ id: "a", weight: 1 }], overflows: false },
    { name: "rescue", members: [{ id: "b", weight: 1 }], overflows: false },
  ],
};

test("an operator can name the pool", async () => {
  const egresses = egressesOf(two);
  expect(await idOf(egresses.choose(entry("a@gmail.com"), google, 0, "rescue"))).toBe("b");
  expect(await idOf(egresses.choose(entry("a@gmail.com"), google, 0, "gone"))).toBe("a");
});

describe("while a rule sends a site's mail by another pool", () => {
  const mail = entry("a@gmail.com");
  /** Which pool mail of an address to google leaves by. */
  const moved =
    (pools: Record<string, string>) =>
    (egress: string, site: string): string | undefined =>
      site === "google" ? pools[egress] : undefined;

  test("it leaves from there; mail to other sites, from other addresses and of a pool that an operator named does not", async () => {
    const egresses = egressesOf(two, { poolFor: moved({ a: "rescue" }) });
    expect(await idOf(egresses.choose(mail, google, 0))).toBe("b");
    expect(await idOf(egresses.choose(mail, { id: "yahoo", provider: "yahoo" }, 0))).toBe("a");
    expect(await idOf(egresses.choose(mail, google, 0, "default"))).toBe("a");
    expect(await idOf(egressesOf(two, { poolFor: moved({ b: "rescue" }) }).choose(mail, google, 0))).toBe(
      "a",
    );
  });

  test.each<[string, Partial<EgressPorts>, string]>([
    [
      "is quarantined",
      { quarantineOf: (id) => (id === "b" ? "listed" : undefined) },
      "b is out of its pool: listed",
    ],
    [
      "has sent all that it may",
      {
        leave: async ({ id }) =>
          id === "b" ? { kind: "wait", untilMs: 9, why: "50 of 50 used" } : { kind: "go" },
      },
      "b: 50 of 50 used",
    ],
    ["is refused there, too", { poolFor: moved({ a: "rescue", b: "default" }) }, "b is to send by default"],
    ["is not in the plan", { poolFor: moved({ a: "gone" }) }, "there is no pool gone"],
  ])("it stays when that pool %s, and why is told", async (_name, ports, why) => {
    const egresses = egressesOf(two, { poolFor: moved({ a: "rescue" }), ...ports });
    expect(await idOf(egresses.choose(mail, google, 5))).toBe("a");
    expect(egresses.staysBecause("a", "google", 5)).toBe(why);
    expect(egresses.staysBecause("a", "google", 6)).toBeUndefined();
    expect(egresses.staysBecause("a", "yahoo", 5)).toBeUndefined();
  });

  test("that it stays is told no longer when it leaves", async () => {
    let quarantine: string | undefined = "listed";
    const egresses = egressesOf(two, {
      poolFor: moved({ a: "rescue" }),
      quarantineOf: (id) => (id === "b" ? quarantine : undefined),
    });
    await egresses.choose(mail, google, 0);
    quarantine = undefined;
    expect(await idOf(egresses.choose(mail, google, 1))).toBe("b");
    expect(egresses.staysBecause("a", "google", 0)).toBeUndefined();
  });
});
