import { expect, test } from "bun:test";
import { messageStatuses } from "@tyto/contracts";
import { isMoving, statuses, statusLooks, statusOf, toneClasses } from "./status.ts";

test("every status of the contract has a look", () => {
  expect(statuses.toSorted()).toEqual([...messageStatuses].toSorted());
  for (const look of Object.values(statusLooks)) {
    expect(look.icon).toStartWith("i-lucide-");
    expect(toneClasses[look.tone]).toContain("text-");
  }
});

test("no two statuses share an icon, so that colour never stands alone", () => {
  expect(new Set(Object.values(statusLooks).map((look) => look.icon)).size).toBe(statuses.length);
});

test("a URL names a status or none", () => {
  expect(statusOf("bounced")).toBe("bounced");
  expect(statusOf("toString")).toBeUndefined();
  expect(statusOf(["bounced"])).toBeUndefined();
});

test("final statuses do not move", () => {
  expect(statuses.filter(isMoving)).toEqual(["accepted", "scheduled", "held", "sending", "deferred"]);
});
