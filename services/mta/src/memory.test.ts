import { afterAll, beforeAll, expect, test } from "bun:test";
import { startNats, type TestNats } from "@tyto/bus/testing";
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

test("what one process learned of sites is what the next one begins with", async () => {
  const bus = await nats.connect("mta");
  const first = newShaping();
  const sites = await remember(bus.bucket("SITES"), first, log);
  const key = { egress: "2001:db8::1", site: "mx.example.com" };
  first.suspend(key, undefined, now() + 60_000, "it said so");
  await sites.stop();

  const second = newShaping();
  const again = await remember(bus.bucket("SITES"), second, log);
  expect(second.status()).toEqual([
    expect.objectContaining({ ...key, state: "suspended", untilMs: now() + 60_000, why: "it said so" }),
  ]);
  await again.stop();
});
