import { describe, expect, test } from "bun:test";
import {
  Address,
  DeliveryId,
  defaultOrganization,
  MessageId,
  type Reason,
  readPhrases,
} from "@tyto/contracts";
import { createProfiles } from "./profiles.ts";
import {
  ceilingOf,
  mustBeWithin,
  type SetLimitMeasure,
  setLimitOf,
  withSetLimits,
  wordsOfLimit,
} from "./set-limits.ts";
import { createShaping } from "./shaping.ts";

const startMs = Date.UTC(2026, 0, 5, 12);
const hourMs = 3_600_000;
const measure = (more: Partial<SetLimitMeasure> = {}): SetLimitMeasure => ({
  ...{ by: "ann", why: "they asked", sinceMs: startMs, untilMs: startMs + 2 * hourMs, ...more },
});
const profiles = createProfiles({ connectionsMax: 20 });
const entry = {
  deliveryId: DeliveryId.parse("01ke70ehg0abcdefghjkmnpqrs-0"),
  messageId: MessageId.parse("01ke70ehg0abcdefghjkmnpqrs"),
  organizationId: defaultOrganization,
  recipient: Address.parse("bob@example.net"),
  attempt: 1,
};

/** One site, and what is set for it; `part` of everything is this process's. */
function setup(site: string, part = 1) {
  const clock = { nowMs: startMs };
  const set: { now?: SetLimitMeasure } = {};
  const shaping = createShaping({
    profiles: withSetLimits(profiles, () =>
      set.now === undefined || set.now.untilMs <= clock.nowMs ? undefined : setLimitOf(set.now),
    ),
    now: () => clock.nowMs,
    random: () => 0.5,
    shareOf: (_, { connectionsMax, perMinute }) => ({
      connectionsMax: Math.floor(connectionsMax * part),
      perMinute: perMinute * part,
    }),
  });
  const provider = site.includes(".") ? undefined : site;
  const key = { egress: "192.0.2.1", site };
  const leave = () => shaping.leave(key, provider);
  const see = (outcome: "delivered" | "deferred", reason?: Reason) =>
    shaping.see({
      ...{ atMs: clock.nowMs, entry, egress: { id: key.egress }, outcome },
      site: provider === undefined ? { id: site } : { id: site, provider },
      ...(reason === undefined ? {} : { reason, reply: { code: 451, text: "slow down" } }),
    });
  /** Messages that had leave within these minutes, asked for ten times a second. */
  const sendFor = (minutes: number) => {
    let sent = 0;
    for (const endMs = clock.nowMs + minutes * 60_000; clock.nowMs < endMs; clock.nowMs += 100)
      if (leave().kind === "go") sent++;
    return sent;
  };
  return { clock, set, shaping, key, leave, see, sendFor, status: () => shaping.status(site)[0] };
}

describe("limits that an operator set for a site", () => {
  test("are kept to at once, say who set them, until when and why, and end by themselves", () => {
    const { clock, set, leave, sendFor, shaping, key, status } = setup("google");
    expect(sendFor(10)).toBeWithin(1_000, 1_020);
    set.now = measure({ rate: "30/min", connectionsMax: 2, untilMs: clock.nowMs + 600_000 });
    expect(shaping.connectionsMax(key, "google")).toBe(2);
    expect(sendFor(10)).toBeWithin(299, 306);
    clock.nowMs -= 1_000;
    expect(leave()).toMatchObject({
      kind: "wait",
      why: "google: at most 30 messages per minute, set by ann until 12:20 UTC: they asked",
    });
    expect(status()).toMatchObject({ state: "open", ratePerMin: 30, connectionsMax: 2 });
    clock.nowMs += 1_000;
    expect(status()).toMatchObject({ state: "open", ratePerMin: 100, connectionsMax: 5 });
    expect(sendFor(10)).toBeWithin(1_000, 1_020);
  });

  test("are those of all processes together: a part of them is one process's", () => {
    const [one, other] = [setup("google", 0.5), setup("google", 0.5)];
    for (const { leave, set } of [one, other]) {
      leave();
      set.now = measure({ rate: "60/min", connectionsMax: 4 });
    }
    const sent = one.sendFor(10) + other.sendFor(10);
    // What was saved up for a burst, 10 s of the rate, goes besides.
    expect(sent).toBeWithin(598, 612);
    expect(one.shaping.connectionsMax(one.key) + other.shaping.connectionsMax(other.key)).toBe(4);
  });

  test("limit a site of unknown nature without a burst, and leave it without a rate when they end", () => {
    const { clock, set, leave, sendFor, status } = setup("mx.example.com");
    expect(leave().kind).toBe("go");
    set.now = measure({ rate: "60/min" });
    expect(sendFor(1)).toBeWithin(59, 62);
    clock.nowMs = startMs + 2 * hourMs;
    for (let i = 0; i < 500; i++) expect(leave().kind).toBe("go");
    expect(status()).toMatchObject({ state: "open", connectionsMax: 20 });
    expect(status()?.ratePerMin).toBeUndefined();
  });

  test("go before what was learned, and trouble lowers the rate below them", () => {
    const { clock, set, leave, see, status } = setup("google");
    leave();
    see("deferred", "rate.limited");
    expect(status()).toMatchObject({ state: "slowed", ratePerMin: 50, connectionsMax: 2 });
    set.now = measure({ rate: "80/min" });
    expect(status()).toMatchObject({ state: "slowed", ratePerMin: 80, connectionsMax: 2 });
    clock.nowMs += 60_000;
    leave();
    see("deferred", "rate.limited");
    expect(status()).toMatchObject({ state: "slowed", ratePerMin: 40, connectionsMax: 1 });
    // The trouble is not an hour old when they end: the site grows from what it takes.
    clock.nowMs += 600_000;
    delete set.now;
    expect(status()).toMatchObject({ state: "slowed", ratePerMin: 40, connectionsMax: 1 });
    clock.nowMs += hourMs;
    leave();
    expect(status()).toMatchObject({ state: "open", ratePerMin: 100, connectionsMax: 5 });
  });

  test("of connections alone leave a learned rate as it is", () => {
    const { set, leave, see, status } = setup("google");
    leave();
    see("deferred", "rate.limited");
    set.now = measure({ connectionsMax: 4 });
    expect(status()).toMatchObject({ ratePerMin: 50, connectionsMax: 4 });
  });

  test("end no pause", () => {
    const { clock, set, shaping, key, leave, status } = setup("google");
    shaping.suspend(key, "google", clock.nowMs + 60_000, "blocked");
    set.now = measure({ rate: "200/min", connectionsMax: 5 });
    expect(leave()).toMatchObject({ kind: "wait", isPause: true });
    expect(status()).toMatchObject({ state: "suspended", connectionsMax: 1 });
  });

  test("are others when the operator sets others", () => {
    const { set, status, leave } = setup("google");
    leave();
    set.now = measure({ rate: "30/min" });
    expect(status()).toMatchObject({ ratePerMin: 30 });
    set.now = measure({ rate: "2/s" });
    expect(status()).toMatchObject({ ratePerMin: 120 });
  });

  test("hold also for a site that nothing was sent to yet", () => {
    const { set, shaping, key, sendFor } = setup("google");
    set.now = measure({ rate: "6/min", connectionsMax: 1 });
    expect(shaping.connectionsMax(key, "google")).toBe(1);
    expect(sendFor(10)).toBeWithin(59, 62);
  });
});

test("are told in words", () => {
  const words = [
    wordsOfLimit(measure({ rate: "60/min", connectionsMax: 1, why: "" })),
    wordsOfLimit(measure({ rate: "60/min", connectionsMax: 1_999, why: "they asked, and so on" })),
    wordsOfLimit(measure({ rate: "2/s" })),
    wordsOfLimit(measure({ connectionsMax: 2 })),
  ];
  expect(words).toEqual([
    "at most 60/min and 1 connection, set by ann until 14:00 UTC",
    "at most 60/min and 1,999 connections, set by ann until 14:00 UTC: they asked, and so on",
    "at most 2/s, set by ann until 14:00 UTC: they asked",
    "at most 2 connections, set by ann until 14:00 UTC: they asked",
  ]);
  const told = { by: { is: "word", text: "ann" }, time: { is: "word", text: "14:00" } };
  expect(words.map(readPhrases)).toMatchObject([
    { kind: "limit.in-force", values: { ...told, most: { kind: "limit.rate-and-connection" } } },
    {
      kind: "limit.in-force-because",
      values: { most: { kind: "limit.rate-and-connections" }, why: { text: "they asked, and so on" } },
    },
    { kind: "limit.in-force-because", values: { most: { is: "quote", text: "2/s" } } },
    { kind: "limit.in-force-because", values: { most: { kind: "limit.connections" } } },
  ]);
});

describe("more than a site is ever given", () => {
  const google = ceilingOf(profiles("google", "google"));
  test.each([
    [
      { rate: "301/min" },
      "google is sent 300 messages a minute from one address at most, and 301/min is more",
    ],
    [{ rate: "6/s" }, "300 messages a minute"],
    [{ connectionsMax: 6 }, "google is given 5 connections from one address at most, and 6 is more"],
  ])("is refused with the bound: %j", (wanted, words) => {
    expect(() => mustBeWithin(google, "google", wanted)).toThrow(words);
  });

  test("is named at each field that has it", () => {
    const refuse = () => mustBeWithin(google, "google", { rate: "20/s", connectionsMax: 9 });
    const issues = [
      {
        path: "rate",
        problem: "google is sent 300 messages a minute from one address at most, and 20/s is more",
      },
      {
        path: "connections",
        problem: "google is given 5 connections from one address at most, and 9 is more",
      },
    ];
    expect(refuse).toThrow(expect.objectContaining({ code: "request.invalid", issues }));
  });

  test.each([[{ rate: "300/min", connectionsMax: 5 }], [{ rate: "18000/h" }]])("is not %j", (wanted) => {
    expect(() => mustBeWithin(google, "google", wanted)).not.toThrow();
  });

  test("has a bound of connections only where the site has no rate of its own", () => {
    const unknown = ceilingOf(profiles("mx.example.com", undefined));
    expect(() => mustBeWithin(unknown, "mx.example.com", { rate: "9999999/s" })).not.toThrow();
    expect(() => mustBeWithin(unknown, "mx.example.com", { connectionsMax: 21 })).toThrow("20 connections");
  });
});
