import { expect, test } from "bun:test";
import type { Scanned } from "@tyto/bus";
import {
  Address,
  type DeliveryId,
  Domain,
  defaultOrganization,
  deliveryId,
  newMessageId,
  type QueueEntry,
} from "@tyto/contracts";
import { type ActPorts, createAct } from "./act.ts";

const entryOf = (looks?: number): QueueEntry => {
  const messageId = newMessageId();
  return {
    ...{ deliveryId: deliveryId(messageId, 0), messageId, organizationId: defaultOrganization },
    ...{ recipient: Address.parse("bob@example.org"), from: Address.parse("ann@example.com") },
    ...{ domain: Domain.parse("example.com"), attempt: 1, bodyBytes: 1, bodyChunks: 1, recipients: 1 },
    ...{ acceptedAt: 0, expiresAt: 1_000_000 },
    ...(looks === undefined ? {} : { looks }),
  };
};
const scannedOf = (sequence: number, entries: readonly QueueEntry[]): Scanned => ({
  ...{ sequence, subject: `queue.later.${sequence}`, storedAtMs: 0, dueAtMs: 900_000, entries },
});
const requeue = {
  ...{
    action: "requeue" as const,
    filter: {},
    isDryRun: false,
    entriesMax: 10_000,
    by: "ann",
    why: "a test",
  },
};

function actOn(messages: readonly Scanned[], ports: Partial<ActPorts> = {}) {
  const added: { entry: QueueEntry; atMs: number }[] = [];
  const removed: number[] = [];
  const queue: ActPorts["queue"] = {
    async *scan() {
      yield* messages;
    },
    async add(entries, atMs = 0) {
      for (const entry of entries) added.push({ entry, atMs });
    },
    remove: async ({ sequence }) => void removed.push(sequence),
  };
  const act = createAct({
    ...{ queue, markOf: async () => undefined, putMark: async () => {}, publish: async () => {} },
    ...{ withhold: async () => new Set<DeliveryId>(), dropBody: async () => {}, siteOf: () => undefined },
    ...{ now: () => 5_000, log: { info() {}, warn() {} } },
    ...ports,
  });
  return { act, added, removed, queue };
}

test("messages are changed side by side, so that what waits by itself is not slower than what waits together", async () => {
  const messages = Array.from({ length: 40 }, (_, at) => scannedOf(at + 1, [entryOf()]));
  const all = Promise.withResolvers<void>();
  let begun = 0;
  const { queue } = actOn(messages);
  const { act } = actOn(messages, {
    queue: {
      ...queue,
      async add() {
        begun++;
        if (begun === messages.length) all.resolve();
        await all.promise;
      },
    },
  });
  expect(await act(requeue)).toMatchObject({ matched: 40, touched: 40 });
});

test("what is made due is as if nobody had looked at it; what shares its message keeps its time", async () => {
  const [meant, other] = [entryOf(7), entryOf(3)];
  const { act, added, removed } = actOn([scannedOf(1, [meant, other])]);
  const only = ({ deliveryId: id }: QueueEntry) => id === meant.deliveryId;
  expect(await act(requeue, { only })).toMatchObject({ matched: 1, touched: 1 });
  const { looks: _, ...unseen } = meant;
  expect(added).toEqual([
    { entry: unseen, atMs: 5_000 },
    { entry: other, atMs: 900_000 },
  ]);
  expect(removed).toEqual([1]);
});

test("a message stays when what it holds could not be stored anew", async () => {
  const { queue, removed } = actOn([]);
  const { act } = actOn([scannedOf(1, [entryOf()])], {
    queue: {
      ...queue,
      async *scan() {
        yield scannedOf(1, [entryOf()]);
      },
      add: () => Promise.reject(new Error("no NATS")),
    },
  });
  expect(act(requeue)).rejects.toThrow("no NATS");
  expect(removed).toEqual([]);
});

test("it ends where it is told to end, and says where to go on", async () => {
  const messages = Array.from({ length: 5 }, (_, at) => scannedOf(at + 1, [entryOf()]));
  const stopping = new AbortController();
  const { act } = actOn(messages);
  const only = (entry: QueueEntry) => {
    if (entry === messages[2]?.entries?.[0]) stopping.abort();
    return true;
  };
  expect(await act(requeue, { only, signal: stopping.signal })).toMatchObject({ matched: 3, next: 3 });
});
