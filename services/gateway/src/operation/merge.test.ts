import { expect, test } from "bun:test";
import type { SiteState } from "@tyto/contracts";
import { mergePools, mergeSite } from "./merge.ts";

const state = (more: Partial<SiteState>): SiteState => ({
  site: "google",
  state: "open",
  connections: 2,
  inHand: 3,
  lastMinute: { delivered: 10, deferred: 1, bounced: 0 },
  limits: [],
  ...more,
});

test("numbers of several processes add up, limits are of all together, and the strictest state is told with its reason", () => {
  const limit = {
    egress: "a",
    state: "open" as const,
    connections: 2,
    connectionsMax: 5,
    ratePerMinuteMax: 50,
  };
  expect(
    mergeSite([
      state({ provider: "google", limits: [limit] }),
      state({
        state: "suspended",
        untilMs: 9,
        why: "421",
        limits: [{ ...limit, state: "slowed", why: "451" }],
      }),
    ]),
  ).toEqual({
    site: "google",
    provider: "google",
    state: "suspended",
    untilMs: 9,
    why: "421",
    connections: 4,
    inHand: 6,
    lastMinute: { delivered: 20, deferred: 2, bounced: 0 },
    limits: [
      { egress: "a", state: "slowed", why: "451", connections: 4, connectionsMax: 5, ratePerMinuteMax: 50 },
    ],
  });
});

test("of processes that see a site as open, the one that knows of another pool for its mail is heard", () => {
  const limit = { egress: "a", state: "open" as const };
  const why = "what left from a leaves by the pool spare";
  const merged = mergeSite([
    state({ limits: [limit] }),
    state({ why, limits: [{ ...limit, why, pool: "spare" }] }),
  ]);
  expect(merged).toMatchObject({ state: "open", why, limits: [{ state: "open", why, pool: "spare" }] });
});

test("an address that one process took out of its pool is shown as out", () => {
  const egress = {
    ...{ egress: "a", ehloName: "mx.test", weight: 1, state: "in" as const, connections: 1, checks: [] },
    lastMinute: { delivered: 1, deferred: 0, bounced: 0 },
  };
  const pools = (more: object) => ({
    process: "p",
    pools: [{ pool: "default", isDefault: true, egresses: [{ ...egress, ...more }] }],
  });
  expect(mergePools([pools({}), pools({ state: "out", why: "listed" })])).toEqual([
    {
      pool: "default",
      isDefault: true,
      egresses: [
        {
          ...egress,
          state: "out",
          why: "listed",
          connections: 2,
          lastMinute: { delivered: 2, deferred: 0, bounced: 0 },
        },
      ],
    },
  ]);
});

test("port 25 is closed when no process has been answered there, and open when one has", () => {
  const egress = {
    ...{ egress: "a", ehloName: "mx.test", weight: 1, state: "in" as const, connections: 1 },
    lastMinute: { delivered: 0, deferred: 0, bounced: 0 },
  };
  const names = { name: "reverse DNS", ok: true, say: "192.0.2.1 is mx.test, and back" };
  const port = (ok: boolean) => ({ name: "port 25", ok, say: ok ? "open" : "closed" });
  const answer = (process: string, ...checks: (typeof names)[]) => ({
    process,
    pools: [{ pool: "all", isDefault: true, egresses: [{ ...egress, checks: [names, ...checks] }] }],
  });
  const merged = (...answers: Parameters<typeof mergePools>[0][number][]) =>
    mergePools(answers)[0]?.egresses[0]?.checks;
  expect(merged(answer("1"), answer("2", port(false)))).toEqual([names, port(false)]);
  expect(merged(answer("1", port(false)), answer("2", port(true)))).toEqual([names, port(true)]);
  expect(merged(answer("1"), answer("2"))).toEqual([names]);
});
