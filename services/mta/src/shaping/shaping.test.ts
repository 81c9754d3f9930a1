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
      expect(leave("mx.example.com").kind).toBe("go");
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
