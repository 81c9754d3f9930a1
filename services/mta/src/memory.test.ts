import { afterAll, beforeAll, expect, test } from "bun:test";
import { startNats, type TestNats } from "@tyto/bus/testing";
import { createBreakers } from "./breakers/breakers.ts";
import { remember } from "./memory.ts";
import { createProfiles } from "./shaping/profiles.ts";
import { createShaping } from "./shaping/shaping.ts";

let nats: TestNats;
beforeAll(async () => {
  nats = await startNats({ users: true });
});
afterAll(() => nats.stop());

const log = { warn() {} };
const now = () => 1_800_000_000_000;
const random = () => 0.5;
const newShaping = () => createShaping({ profiles: createProfiles({ connectionsMax: 20 }), now, random });
const newBreakers = () => createBreakers({ hold: async () => {}, now, random, log });

test("what one process learned of sites and senders is what the next one begins with", async () => {
  const bus = await nats.connect("mta");
  const first = { shaping: newShaping(), breakers: newBreakers() };
  const sites = await remember(bus.bucket("SITES"), first.shaping, log);
  const senders = await remember(bus.bucket("BREAKERS"), first.breakers, log);
  const key = { egress: "2001:db8::1", site: "mx.example.com" };
  first.shaping.suspend(key, undefined, now() + 60_000, "it said so");
  first.breakers.restore({
    scope: "campaign",
    id: "default/spring..sale",
    organizationId: "default" as never,
    windows: [],
    opened: 1,
    untilMs: now() + 60_000,
    savedAtMs: now(),
  });
  first.breakers.released({
    ...{ key: "campaign:default/spring..sale", scope: "campaign", id: "default/spring..sale", why: "w" },
    ...{ by: "breaker:bounces", sinceMs: 0, untilMs: now() + 1 },
  });
  await Promise.all([sites.stop(), senders.stop()]);

  const second = { shaping: newShaping(), breakers: newBreakers() };
  const again = [
    await remember(bus.bucket("SITES"), second.shaping, log),
    await remember(bus.bucket("BREAKERS"), second.breakers, log),
  ];
  expect(second.shaping.status()).toEqual([
    expect.objectContaining({ ...key, state: "suspended", untilMs: now() + 60_000, why: "it said so" }),
  ]);
  expect(second.breakers.status()).toEqual([
    expect.objectContaining({ scope: "campaign", id: "default/spring..sale", state: "closed" }),
  ]);
  await Promise.all(again.map((one) => one.stop()));
});
