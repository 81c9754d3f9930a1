import { describe, expect, test } from "bun:test";
import { createProfiles, parseSiteLimits } from "./profiles.ts";

describe("an operator's limits", () => {
  test("name a provider, a host or a set of hosts, with any of three settings", () => {
    expect([
      ...parseSiteLimits(
        " google:rate=500/min,connections=10 ; mx.example.com:messages=20;example.com=1f3a90c2:rate=2/s;10.0.0.5=2525:rate=60/h; ",
      ),
    ]).toEqual([
      ["google", { ratePerMin: 500, connectionsMax: 10 }],
      ["mx.example.com", { messagesMax: 20 }],
      ["example.com=1f3a90c2", { ratePerMin: 120, burstS: 1 }],
      ["10.0.0.5=2525", { ratePerMin: 1 }],
    ]);
  });

  test.each([
    ["google", "must be like google:rate=500/min"],
    ["google:rate=500", "rate=<n>/min"],
    ["google:rate=0/min", "rate=<n>/min"],
    ["google:connections=0", "connections=<1 to 2000>"],
    ["google:messages=5/min", "messages=<1 to 100000>"],
    ["google:speed=5", "must be like"],
    ["google:rate=5/min,speed=5", "speed=5"],
    ["goo gle:rate=5/min", "must be like"],
    [":rate=5/min", "must be like"],
    ["google:rate=1/min;google:rate=2/min", "twice"],
  ])("%p is refused with what is wrong", (text, words) => {
    expect(() => parseSiteLimits(text)).toThrow(words);
  });

  test("no text makes the parser throw anything but words for the operator", () => {
    let state = 11;
    const pieces = [
      "google",
      ":",
      ";",
      ",",
      "rate=",
      "5",
      "/min",
      "=",
      "connections=",
      "mx.example.com",
      " ",
      "\n",
      "é",
    ];
    const next = () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return pieces[state % pieces.length] ?? "";
    };
    for (let round = 0; round < 5_000; round++) {
      const text = Array.from({ length: 12 }, next).join("");
      try {
        for (const [name, limit] of parseSiteLimits(text)) {
          expect(name).not.toBe("");
          expect(Object.keys(limit).length).toBeGreaterThan(0);
        }
      } catch (error) {
        expect(error).toBeInstanceOf(TypeError);
      }
    }
  });
});

test("a site's own limit goes before its provider's, and that before ours", () => {
  const profiles = createProfiles({
    connectionsMax: 20,
    limits: parseSiteLimits("google:rate=500/min;mx.example.com:connections=2"),
    routes: new Map([
      ["*", { host: "relay.example.net", port: 25 }],
      ["b.example", { host: "127.0.0.1", port: 2526 }],
    ]),
  });
  expect(profiles("google", "google")).toMatchObject({
    rate: { startPerMin: 500, ceilingPerMin: 500, floorPerMin: 5 },
    connectionsMax: 5,
    messagesMax: 50,
  });
  expect(profiles("mx.example.com", undefined)).toMatchObject({ connectionsMax: 2, isOwn: false });
  expect(profiles("mx.other.example", "somebody")).toMatchObject({ connectionsMax: 20, isOwn: false });
  expect(profiles("relay.example.net", undefined).isOwn).toBe(true);
  expect(profiles("127.0.0.1=2526", undefined).isOwn).toBe(true);
  expect(profiles("127.0.0.1=2527", undefined).isOwn).toBe(false);
});
