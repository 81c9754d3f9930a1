import { expect, test } from "bun:test";
import { Failure } from "@tyto/contracts";
import type { Outcome } from "./outcome.ts";
import { createScan, type Ports } from "./scan.ts";
import { sampleMessage } from "./testing.ts";

const message = sampleMessage();
const first = { times: 1, sequence: 1, storedAtMs: 0 };

/** Everything a scan does, in order, with a clamd that says `outcome`. */
function rig(outcome: Outcome, changes: Partial<Ports> = {}) {
  const did: unknown[] = [];
  const ports: Ports = {
    readBody: async () => new Uint8Array(3),
    dropBody: async () => void did.push("drop"),
    scan: async () => outcome,
    problem: () => undefined,
    look: async () => void did.push("look"),
    engine: () => "ClamAV 1",
    publish: async (subject, payload) => void did.push([subject, payload.id]),
    now: () => message.at,
    count: (result) => void did.push(result),
    ...changes,
  };
  return { did, scan: createScan(ports) };
}

test("a clean message goes on", async () => {
  const { did, scan } = rig({ kind: "clean" });
  expect(await scan(message, first)).toEqual({ kind: "done" });
  expect(did).toEqual(["clean", ["mail.scanned", `${message.messageId}.scanned`]]);
});

test.each([
  [{ kind: "infected", signature: "Eicar" } as const, { reason: "content.infected", signature: "Eicar" }],
  [{ kind: "too-large" } as const, { reason: "content.too-large" }],
])("%j is refused, and the body goes after the event is stored", async (outcome, expected) => {
  const payloads: unknown[] = [];
  const order: string[] = [];
  const { scan } = rig(outcome, {
    publish: async (subject, payload) => {
      order.push(subject);
      payloads.push(payload);
    },
    dropBody: async () => void order.push("drop"),
  });
  expect(await scan(message, first)).toEqual({ kind: "done" });
  expect(payloads).toEqual([expect.objectContaining(expected)]);
  expect(order).toEqual(["mail.refused", "drop"]);
});

test("while clamd is down a message is held once and tried again, however often", async () => {
  const { did, scan } = rig({ kind: "clean" }, { problem: () => "ECONNREFUSED" });
  for (let times = 1; times <= 500; times++)
    expect(await scan(message, { ...first, times })).toEqual({
      kind: "retry",
      afterMs: 5_000,
      reason: "ECONNREFUSED",
    });
  expect(did).toEqual([["mail.held", `${message.messageId}.held`], "held"]);
});

test("a message that clamd alone fails at waits longer each time and holds up nobody else", async () => {
  const { did, scan } = rig({ kind: "failed", why: "clamd said: ERROR" });
  const waits: number[] = [];
  for (const times of [1, 2, 3, 4, 5, 50]) {
    const verdict = await scan(message, { ...first, times });
    waits.push(verdict.kind === "retry" ? verdict.afterMs : -1);
  }
  expect(waits).toEqual([5_000, 10_000, 20_000, 40_000, 60_000, 60_000]);
  expect(did.filter((entry) => entry === "look").length).toBe(6);
});

test("a message that could not be scanned until it expired is refused, not forgotten", async () => {
  const { did, scan } = rig({ kind: "clean" }, { now: () => message.expiresAt, problem: () => "down" });
  expect(await scan(message, first)).toEqual({ kind: "done" });
  expect(did).toEqual(["expired", ["mail.refused", `${message.messageId}.refused`], "drop"]);
});

test("a message without its body is a dead letter; a bus that is down is not its fault", async () => {
  const lost = rig(
    { kind: "clean" },
    { readBody: () => Promise.reject(new Failure("resource.unknown", "gone")) },
  );
  expect(await lost.scan(message, first)).toEqual({ kind: "reject", reason: "gone" });
  const down = rig(
    { kind: "clean" },
    { readBody: () => Promise.reject(new Failure("upstream.down", "nats")) },
  );
  await expect(down.scan(message, first)).rejects.toThrow("nats");
});
