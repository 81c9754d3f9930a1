import { expect, test } from "bun:test";
import { createActivity } from "./activity.ts";
import { processState, type StatePorts, siteState } from "./state.ts";

const portsWith = (bySite: Readonly<Record<string, number>>): StatePorts => ({
  ...{ process: "p", startedAtMs: 0, activity: createActivity(() => 0), now: () => 0 },
  connections: () => ({ open: 1, idle: 0, max: 100 }),
  inHand: () => ({ total: 2, bySite: new Map(Object.entries(bySite)) }),
  limitsOf: () => [],
  holds: () => [],
  breakers: () => [],
});

test("a site that has answered nothing yet is told while mail to it is in hand, and no longer", () => {
  const tarpit = { site: "mx.tarpit.example", state: "open", inHand: 2 } as const;
  const busy = portsWith({ "mx.tarpit.example": 2 });
  expect(processState(busy).sites).toMatchObject([tarpit]);
  expect(siteState(busy, "mx.tarpit.example")).toMatchObject(tarpit);
  expect(processState(portsWith({})).sites).toEqual([]);
  expect(siteState(portsWith({}), "mx.tarpit.example")).toBeUndefined();
});
