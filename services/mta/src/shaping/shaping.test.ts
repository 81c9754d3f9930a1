import { describe, expect, test } from "bun:test";
import { Address, DeliveryId, defaultOrganization, MessageId, type Reason } from "@tyto/contracts";
import type { Observation } from "../observation.ts";
import { createProfiles, parseSiteLimits } from "./profiles.ts";
import { createShaping } from "./shaping.ts";

/** A small seeded generator (Park and Miller), so that a failure can be repeated. */
const generator = (seed: number) => () => {
  seed = (seed * 48_271) % 2_147_483_647;
  return seed / 2_147_483_647;
};

const entry = {
  deliveryId: DeliveryId.parse("01ke70ehg0abcdefghjkmnpqrs-0"),
  messageId: MessageId.parse("01ke70ehg0abcdefghjkmnpqrs"),
  organizationId: defaultOrganization,
  recipient: Address.parse("bob@example.net"),
  attempt: 1,
};

function setup(
  options: {
    limits?: string;
    seed?: number;
    connectionsMax?: number;
    routes?: Map<string, { host: string; port: number }>;
  } = {},
) {
  const clock = { nowMs: 1_800_000_000_000 };
  const shaping = createShaping({
    profiles: createProfiles({
      connectionsMax: options.connectionsMax ?? 20,
      limits: parseSiteLimits(options.limits ?? ""),
      ...(options.routes === undefined ? {} : { routes: options.routes }),
    }),
    now: () => clock.nowMs,
    random: generator(options.seed ?? 7),
  });
  const at = (site: string) => ({ egress: "192.0.2.1", site });
  const provider = (site: string) => (site.includes(".") ? undefined : site);
  const see = (
    site: string,
    outcome: Observation["outcome"],
    reason?: Reason,
    text = "4.7.0 no",
    code = 451,
  ) =>
    shaping.see({
      atMs: clock.nowMs,
      entry,
      site: { id: site, ...(provider(site) === undefined ? {} : { provider: site }) },
      egress: { id: "192.0.2.1" },
      outcome,
      ...(reason === undefined ? {} : { reason }),
      ...(reason === undefined || reason.startsWith("network")
        ? {}
        : {
            reply: {
              code,
              text,
              ...(/^(\d\.\d+\.\d+)/.test(text) ? { enhanced: text.split(" ")[0] ?? "" } : {}),
            },
          }),
    });
  return {
    clock,
    shaping,
    key: at,
    see,
    leave: (site: string) => shaping.leave(at(site), provider(site)),
    status: (site: string) => shaping.status(site)[0],
  };
}

describe("a site of unknown nature", () => {
  test("has no rate until it throttles; then what it really took in the last minute, halved, is the rate", () => {
    const { clock, leave, see, status } = setup();
    for (let i = 0; i < 200; i++) {
      leave("mx.example.com");
      see("mx.example.com", "delivered");
      clock.nowMs += 200;
    }
    expect(status("mx.example.com")).toMatchObject({ state: "open", deliveredLastMin: 200 });
    see("mx.example.com", "deferred", "rate.limited", "4.7.28 too many messages");
    expect(status("mx.example.com")).toMatchObject({ state: "slowed", ratePerMin: 100, connectionsMax: 10 });
  });

  test("is not slowed by greylisting, a full mailbox, or a limit of one mailbox", () => {
    const { see, status } = setup();
    see("mx.example.com", "deferred", "greylisted");
    see("mx.example.com", "deferred", "mailbox.full", "4.2.2 over quota");
    see("mx.example.com", "deferred", "rate.limited", "4.2.1 receiving mail at a rate");
    see("mx.example.com", "bounced", "mailbox.unknown", "5.1.1 unknown", 550);
    expect(status("mx.example.com")).toMatchObject({ state: "open", connectionsMax: 20 });
    expect(status("mx.example.com")?.ratePerMin).toBeUndefined();
  });
});

test("a burst of parallel deferrals counts once", () => {
  const { see, status } = setup();
  for (let i = 0; i < 50; i++) see("google", "deferred", "rate.limited");
  expect(status("google")).toMatchObject({ ratePerMin: 50, connectionsMax: 2, deferredLastMin: 50 });
});

describe("a pause", () => {
  test("begins with the first message that nobody takes, and one probe at a time asks whether it is over", () => {
    const { clock, leave, see, status } = setup();
    expect(leave("mx.dead.example").kind).toBe("go");
    see("mx.dead.example", "deferred", "network.unreachable");
    const refused = leave("mx.dead.example");
    expect(refused).toMatchObject({
      kind: "wait",
      why: "mx.dead.example: No server of the receiver could be reached",
    });
    clock.nowMs = refused.kind === "wait" ? refused.untilMs : 0;
    expect(leave("mx.dead.example").kind).toBe("go");
    expect(status("mx.dead.example")?.state).toBe("probing");
    expect(leave("mx.dead.example")).toMatchObject({
      kind: "wait",
      why: expect.stringContaining("one message asks"),
    });
  });

  test("ends with the probe's success, and starts with two connections", () => {
    const { clock, leave, see, status, shaping, key } = setup();
    see("mx.dead.example", "deferred", "network.unreachable");
    clock.nowMs += 40_000;
    expect(leave("mx.dead.example").kind).toBe("go");
    see("mx.dead.example", "delivered");
    expect(status("mx.dead.example")).toMatchObject({ state: "slowed", connectionsMax: 2 });
    for (let i = 0; i < 180; i++) {
      expect(leave("mx.dead.example").kind).toBe("go");
      see("mx.dead.example", "delivered");
    }
    expect(shaping.connectionsMax(key("mx.dead.example"))).toBe(20);
    expect(status("mx.dead.example")?.state).toBe("open");
  });

  test("ends with any answer about a recipient: the site is there", () => {
    const { clock, leave, see, status } = setup();
    see("mx.dead.example", "deferred", "network.unreachable");
    clock.nowMs += 40_000;
    leave("mx.dead.example");
    see("mx.dead.example", "bounced", "mailbox.unknown", "5.1.1 unknown", 550);
    expect(status("mx.dead.example")?.state).toBe("slowed");
  });

  test("is given to the next one when the probe was not tried after all", () => {
    const { clock, leave, see, shaping, key } = setup();
    see("mx.dead.example", "deferred", "network.unreachable");
    clock.nowMs += 40_000;
    expect(leave("mx.dead.example").kind).toBe("go");
    expect(leave("mx.dead.example").kind).toBe("wait");
    shaping.giveBack(key("mx.dead.example"));
    expect(leave("mx.dead.example").kind).toBe("go");
  });

  test("is given to the next one when the probe could not ask, for a reason of our own", () => {
    const { clock, leave, see } = setup();
    see("mx.dead.example", "deferred", "network.unreachable");
    clock.nowMs += 40_000;
    expect(leave("mx.dead.example").kind).toBe("go");
    expect(leave("mx.dead.example").kind).toBe("wait");
    see("mx.dead.example", "deferred", "local.trouble");
    expect(leave("mx.dead.example").kind).toBe("go");
  });

  test("a few recipients in trouble of their own never make all others of their site wait", () => {
    const { clock, leave, see, status } = setup();
    for (let i = 0; i < 20; i++) {
      see("mx.example.com", "deferred", "receiver.busy", "Temporary local problem", 451);
      clock.nowMs += 20_000;
    }
    expect(status("mx.example.com")?.state).toBe("open");
    expect(leave("mx.example.com").kind).toBe("go");
  });

  test("a site that takes mail does not pause for one dropped connection, but for three in a row", () => {
    const { see, status } = setup();
    see("mx.example.com", "delivered");
    see("mx.example.com", "deferred", "network.unreachable");
    see("mx.example.com", "deferred", "network.unreachable");
    expect(status("mx.example.com")?.state).toBe("open");
    see("mx.example.com", "deferred", "network.unreachable");
    expect(status("mx.example.com")?.state).toBe("suspended");
  });

  test("three refusals apart with nothing taken between them pause, and the receiver's own time is kept", () => {
    const { clock, see, status } = setup();
    for (let i = 0; i < 3; i++) {
      see("yahoo", "deferred", "rate.limited", "4.7.0 [TSS04] try again in 20 minutes", 421);
      clock.nowMs += 11_000;
    }
    expect(status("yahoo")).toMatchObject({
      state: "suspended",
      untilMs: clock.nowMs - 11_000 + 20 * 60_000,
      why: expect.stringContaining("TSS04"),
    });
  });

  test("sessions that began before it neither lengthen nor end it", () => {
    const { see, status } = setup();
    see("mx.dead.example", "deferred", "network.unreachable");
    const before = status("mx.dead.example")?.untilMs;
    see("mx.dead.example", "deferred", "network.unreachable");
    see("mx.dead.example", "delivered");
    expect(status("mx.dead.example")).toMatchObject({ state: "suspended", untilMs: before });
  });

  test("an operator has a suspended site asked by the next message, once, and nothing is forgotten", () => {
    const { see, shaping, leave, status } = setup();
    see("mx.dead.example", "deferred", "network.unreachable");
    expect(leave("mx.dead.example").kind).toBe("wait");
    expect(shaping.askNext("mx.dead.example")).toBe(1);
    expect(shaping.askNext("mx.dead.example")).toBe(0);
    expect(leave("mx.dead.example").kind).toBe("go");
    expect(leave("mx.dead.example").kind).toBe("wait");
    expect(status("mx.dead.example")?.state).not.toBe("open");
  });

  test("that it is over is told once, whoever found it out", () => {
    const { see, shaping, clock, leave } = setup();
    const other = setup();
    const opened: string[] = [];
    shaping.onOpened(({ site }) => opened.push(`here ${site}`));
    other.shaping.onOpened(({ site }) => opened.push(`there ${site}`));
    const tell = () => other.shaping.hear(shaping.changes(1)[0]?.record ?? expect.unreachable());
    see("mx.dead.example", "deferred", "network.unreachable");
    tell();
    clock.nowMs += 40_000;
    leave("mx.dead.example");
    expect(opened).toEqual([]);
    for (let n = 0; n < 3; n++) see("mx.dead.example", "delivered");
    expect(opened).toEqual(["here mx.dead.example"]);
    tell();
    expect(opened).toEqual(["here mx.dead.example", "there mx.dead.example"]);
  });

  test("what was heard before an operator had the site asked does not pause it again, and what is heard after does", () => {
    const { see, shaping, leave, status, clock } = setup();
    see("mx.dead.example", "deferred", "network.unreachable");
    const other = setup();
    other.see("mx.dead.example", "deferred", "network.unreachable");
    const told = () => other.shaping.changes(1)[0]?.record ?? expect.unreachable();
    const old = told();
    clock.nowMs += 1_000;
    shaping.askNext("mx.dead.example");
    // On its way when the operator asked: another process's pause, and a session of ours from before ours.
    shaping.hear({ ...old, untilMs: clock.nowMs + 600_000 });
    see("mx.dead.example", "deferred", "network.unreachable");
    expect(leave("mx.dead.example").kind).toBe("go");
    shaping.giveBack({ egress: "192.0.2.1", site: "mx.dead.example" });

    // Another process has asked, and learned that it is not over.
    shaping.hear({ ...old, untilMs: clock.nowMs + 60_000, troubleAtMs: clock.nowMs + 1 });
    expect(leave("mx.dead.example")).toMatchObject({ kind: "wait", untilMs: clock.nowMs + 60_000 });
    expect(status("mx.dead.example")?.state).toBe("suspended");
  });
});

test("a rate that an operator tells per second is kept to in each second, one per minute over ten", () => {
  for (const [limits, atOnce] of [
    ["mx.example.com:rate=20/s", 20],
    ["mx.example.com:rate=1200/min", 200],
  ] as const) {
    const { leave } = setup({ limits });
    let sent = 0;
    while (leave("mx.example.com").kind === "go") sent++;
    expect(sent).toBe(atOnce);
  }
});

test("a relay of the operator's own is never slowed, only paused when it is not there", () => {
  const { see, status, clock } = setup({ routes: new Map([["*", { host: "127.0.0.1", port: 2526 }]]) });
  see("127.0.0.1=2526", "deferred", "rate.limited");
  expect(status("127.0.0.1=2526")).toMatchObject({ state: "open", connectionsMax: 20 });
  clock.nowMs += 70_000;
  see("127.0.0.1=2526", "deferred", "network.unreachable");
  expect(status("127.0.0.1=2526")?.state).toBe("suspended");
});

describe("whatever a site answers", () => {
  const answers: [Observation["outcome"], Reason | undefined][] = [
    ["delivered", undefined],
    ["delivered", undefined],
    ["delivered", undefined],
    ["deferred", "rate.limited"],
    ["deferred", "reputation.listed"],
    ["deferred", "greylisted"],
    ["deferred", "receiver.busy"],
    ["deferred", "network.unreachable"],
    ["bounced", "mailbox.unknown"],
    ["deferred", "local.trouble"],
  ];
  const bounds = {
    google: [5, 300, 5],
    microsoft: [5, 200, 3],
    yahoo: [3, 150, 3],
    apple: [5, 150, 3],
  } as const;

  for (const [site, [floor, ceiling, connections]] of Object.entries(bounds))
    test(`${site} is never sent to faster than its rate allows, which never leaves its bounds`, () => {
      for (let seed = 1; seed <= 3; seed++) {
        const random = generator(seed);
        const { clock, leave, see, status } = setup({ seed });
        const sent: number[] = [];
        const rates: number[] = [];
        const places: number[] = [];
        let troubleShare = 0.01;
        let [rate, atMs, level, levelMax] = [ceiling as number, clock.nowMs, 0, 0];
        for (let step = 0; step < 10_000; step++) {
          clock.nowMs += Math.floor(random() * 2_000);
          if (step % 500 === 0) troubleShare = random() < 0.3 ? 0.9 : 0.01;
          if (leave(site).kind === "wait") continue;
          sent.push(clock.nowMs);
          // What was sent beyond the rate so far: at most the burst.
          level = Math.max(0, level - ((clock.nowMs - atMs) * rate) / 60_000) + 1;
          levelMax = Math.max(levelMax, level);
          const [outcome, reason] =
            random() < troubleShare
              ? (answers[Math.floor(random() * answers.length)] ?? ["delivered"])
              : ["delivered" as const];
          see(site, outcome, reason);
          const row = status(site);
          rate = row?.ratePerMin ?? Number.POSITIVE_INFINITY;
          atMs = clock.nowMs;
          rates.push(rate);
          places.push(row?.connectionsMax ?? 0);
        }
        expect(Math.min(...rates)).toBeGreaterThanOrEqual(floor);
        expect(Math.max(...rates)).toBeLessThanOrEqual(ceiling);
        expect(Math.min(...places)).toBeGreaterThanOrEqual(1);
        expect(Math.max(...places)).toBeLessThanOrEqual(connections);
        const burst = Math.max(1, ceiling / 6);
        expect(levelMax).toBeLessThanOrEqual(burst + 1);
        const perMinute = Array.from(busiestMinutes(sent), ([first, last]) => last - first + 1);
        expect(Math.max(...perMinute)).toBeLessThanOrEqual(ceiling + burst + 1);
      }
    });

  test("a dead site is asked a number of times that grows with the logarithm of the time, then at the cap", () => {
    for (let seed = 1; seed <= 10; seed++) {
      const { clock, leave, see } = setup({ seed });
      const began = clock.nowMs;
      let probes = 0;
      let firstHour = 0;
      // A million messages want to go in the first day; each asks when it is told to.
      while (clock.nowMs - began < 86_400_000) {
        const allowed = leave("mx.dead.example");
        if (allowed.kind === "wait") {
          clock.nowMs = allowed.untilMs;
          continue;
        }
        probes += 1;
        if (clock.nowMs - began < 3_600_000) firstHour += 1;
        see("mx.dead.example", "deferred", "network.unreachable");
      }
      expect(firstHour).toBeLessThanOrEqual(12);
      expect(probes).toBeLessThanOrEqual(24 * 7 + 12);
    }
  });

  test("a site that throttled at 120 a minute is near that again within the hour, and never far above it for long", () => {
    const { clock, leave, see, status } = setup();
    const took: number[] = [];
    let refused = 0;
    /** Of those that were taken, how many lie more than a minute back, and more than an hour. */
    const behind = { minute: 0, hour: 0 };
    const pass = (span: keyof typeof behind, ms: number) => {
      while ((took[behind[span]] ?? clock.nowMs) <= clock.nowMs - ms) behind[span]++;
    };
    for (let second = 0; second < 7_200; second++) {
      pass("minute", 60_000);
      for (let i = 0; i < 20; i++) {
        if (leave("mx.example.com").kind === "wait") break;
        if (took.length - behind.minute >= 120) {
          refused += 1;
          see("mx.example.com", "deferred", "rate.limited");
        } else {
          took.push(clock.nowMs);
          see("mx.example.com", "delivered");
        }
      }
      pass("hour", 3_600_000);
      clock.nowMs += 1_000;
    }
    const tookInSecondHour = took.length - behind.hour;
    // Of what the site would have taken in the second hour, at least half went through, and few were refused for that.
    expect(tookInSecondHour).toBeGreaterThan(3_600);
    expect(refused).toBeLessThan(tookInSecondHour / 10);
    expect(status("mx.example.com")?.ratePerMin).toBeLessThan(400);
  });

  test("after an hour without trouble a slowed site is what its profile says", () => {
    const { clock, leave, see, status } = setup();
    for (let i = 0; i < 2; i++) {
      see("google", "deferred", "rate.limited");
      clock.nowMs += 20_000;
    }
    expect(status("google")).toMatchObject({ state: "slowed", ratePerMin: 25 });
    clock.nowMs += 3_600_000;
    expect(leave("google").kind).toBe("go");
    expect(status("google")).toMatchObject({ state: "open", ratePerMin: 100, connectionsMax: 5 });
  });
});

/** For each event the first and the last index of the minute that begins with it. */
function* busiestMinutes(times: readonly number[]): Generator<readonly [number, number]> {
  for (let first = 0, last = 0; first < times.length; first++) {
    while (last + 1 < times.length && (times[last + 1] ?? 0) < (times[first] ?? 0) + 60_000) last += 1;
    yield [first, last];
  }
}

test("the first pause is as long as the operator's first wait allows", () => {
  const shaping = createShaping({
    profiles: createProfiles({ connectionsMax: 20 }),
    now: () => 1_000,
    random: () => 0.5,
    pauseFirstMs: 40,
  });
  const key = { egress: "192.0.2.1", site: "mx.dead.example" };
  const seen = { atMs: 1_000, entry, site: { id: key.site }, egress: { id: key.egress } };
  shaping.see({ ...seen, outcome: "deferred", reason: "network.unreachable" });
  expect(shaping.leave(key, undefined)).toMatchObject({ kind: "wait", untilMs: 1_040 });
});

describe("a process that shares a site with others", () => {
  test("uses its part of rate and connections, exactly", () => {
    const part = { of: 0.25 };
    const clock = { nowMs: 1_800_000_000_000 };
    const shaping = createShaping({
      profiles: createProfiles({ connectionsMax: 20 }),
      now: () => clock.nowMs,
      random: () => 0.5,
      shareOf: (_, { connectionsMax, perMinute }) => ({
        connectionsMax: Math.floor(connectionsMax * part.of),
        perMinute: perMinute * part.of,
      }),
    });
    const key = { egress: "192.0.2.1", site: "google" };
    // Also of a site that it has not sent to yet.
    expect(shaping.connectionsMax(key, "google")).toBe(1);
    let sent = 0;
    for (let ms = 0; ms < 600_000; ms += 100) {
      if (shaping.leave(key, "google").kind === "go") sent += 1;
      clock.nowMs += 100;
    }
    // A quarter of 100 a minute, and of the burst at the beginning.
    expect(sent).toBeGreaterThanOrEqual(249);
    expect(sent).toBeLessThanOrEqual(255);
    expect(shaping.connectionsMax(key)).toBe(1);
    part.of = 0;
    expect(shaping.leave(key, "google")).toEqual({
      kind: "wait",
      untilMs: clock.nowMs + 500,
      why: "google: other processes have the whole of its limit",
    });
    part.of = 1;
    expect(shaping.connectionsMax(key)).toBe(5);
  });

  test("leaves a site alone after its pause while another has the one connection that asks", () => {
    const clock = { nowMs: 1_800_000_000_000 };
    const part = { connectionsMax: 0 };
    const shaping = createShaping({
      profiles: createProfiles({ connectionsMax: 20 }),
      now: () => clock.nowMs,
      random: () => 0.5,
      shareOf: (_, limit) => ({ ...limit, ...part }),
    });
    const key = { egress: "192.0.2.1", site: "mx.example.com" };
    shaping.suspend(key, undefined, clock.nowMs + 1_000, "nobody answers");
    expect(shaping.pause(key)).toMatchObject({ untilMs: clock.nowMs + 1_000, isPause: true });
    clock.nowMs += 1_000;
    const wait = {
      kind: "wait",
      untilMs: clock.nowMs + 500,
      why: "mx.example.com: another process asks whether this is over: nobody answers",
      isPause: true,
    } as const;
    expect([shaping.pause(key), shaping.leave(key, undefined)]).toEqual([wait, wait]);
    part.connectionsMax = 1;
    expect(shaping.pause(key)).toBeUndefined();
    expect(shaping.leave(key, undefined)).toEqual({ kind: "go", isProbe: true });
  });

  test("takes what it delivered for its part of what the site took, when that begins to throttle", () => {
    const shaping = createShaping({
      profiles: createProfiles({ connectionsMax: 20 }),
      now: () => 1_800_000_000_000,
      random: () => 0.5,
      shareOf: (_, limit) => ({ ...limit, connectionsMax: limit.connectionsMax / 4 }),
    });
    const key = { egress: "192.0.2.1", site: "mx.example.com" };
    const seen = { atMs: 1_800_000_000_000, entry, site: { id: key.site }, egress: { id: key.egress } };
    for (let i = 0; i < 50; i++) {
      shaping.leave(key, undefined);
      shaping.see({ ...seen, outcome: "delivered" });
    }
    shaping.see({
      ...seen,
      outcome: "deferred",
      reason: "rate.limited",
      reply: { code: 421, text: "slow down" },
    });
    expect(shaping.status()[0]?.ratePerMin).toBe(100);
  });
});

describe("what an earlier process learned", () => {
  test("is where the next one starts from; a site as its profile says needs no record", () => {
    const first = setup();
    first.see("google", "delivered");
    first.see("yahoo", "deferred", "rate.limited", "4.7.0 [TSS04] slow down");
    first.see("mx.dead.example", "deferred", "network.unreachable");
    const changed = first.shaping.changes(100);
    expect(changed.map(({ key, record }) => [key, record?.state])).toEqual([
      ["192%2E0%2E2%2E1/yahoo", "slowed"],
      ["192%2E0%2E2%2E1/mx%2Edead%2Eexample", "suspended"],
    ]);
    expect(first.shaping.changes(100)).toEqual([]);

    const second = setup();
    for (const { record } of changed) if (record !== undefined) second.shaping.restore(record);
    expect(second.status("yahoo")).toMatchObject({ state: "slowed", ratePerMin: 20 });
    expect(second.leave("mx.dead.example").kind).toBe("wait");
    expect(second.shaping.changes(100)).toEqual([]);
  });

  test("is nothing after a day, and no more than an operator's limit of today", () => {
    const first = setup();
    first.see("mx.example.com", "deferred", "rate.limited");
    const [row] = first.shaping.changes(1);
    if (row?.record === undefined) throw new Error("the row has a record");
    const late = setup();
    late.clock.nowMs += 86_400_001;
    late.shaping.restore(row.record);
    expect(late.shaping.status()).toEqual([]);
    const strict = setup({ limits: "mx.example.com:rate=1/min,connections=3" });
    strict.shaping.restore({ ...row.record, ratePerMin: 400, connections: 18 });
    expect(strict.status("mx.example.com")).toMatchObject({ ratePerMin: 1, connectionsMax: 3 });
  });

  test("rows leave when their site is as usual again, and never more at a time than asked for", () => {
    const { see, shaping, clock, leave } = setup();
    for (let i = 0; i < 30; i++) see(`mx${i}.example.com`, "deferred", "network.unreachable");
    expect(shaping.changes(20)).toHaveLength(20);
    expect(shaping.changes(20)).toHaveLength(10);
    clock.nowMs += 40_000;
    leave("mx3.example.com");
    for (let i = 0; i < 200; i++) see("mx3.example.com", "delivered");
    expect(shaping.changes(20)).toEqual([{ key: "192%2E0%2E2%2E1/mx3%2Eexample%2Ecom", record: undefined }]);
  });

  test("no more sites are remembered than the bound says", () => {
    const { see, shaping } = setup();
    for (let i = 0; i < 10_500; i++) see(`mx${i}.example.com`, "delivered");
    expect(shaping.status()).toHaveLength(10_000);
    expect(shaping.status("mx0.example.com")).toEqual([]);
  });
});
