import { expect, test } from "bun:test";
import { Address, DeliveryId, defaultOrganization, MessageId, type WarmingRecord } from "@tyto/contracts";
import type { Report } from "../feedback.ts";
import type { Observation } from "../observation.ts";
import { originOf } from "../origin.ts";
import { createWarming, type Warming } from "./warming.ts";

const noon = Date.UTC(2026, 10, 21, 12);
const dayMs = 86_400_000;
const mail1 = { id: "mail1" };
const google = { id: "google", provider: "google" };
const sixth = [{ id: "mail1", since: { date: "2026-11-16" } }] as const;

/** A bucket that several processes change. `late` keeps news from them until it is called. */
function startStore() {
  const rows = new Map<string, { record: WarmingRecord; revision: number }>();
  const processes: Warming[] = [];
  let writes = 0;
  return {
    rows,
    writes: () => writes,
    join(egresses: Parameters<typeof createWarming>[0]["egresses"] = sixth) {
      const warming = createWarming({
        egresses,
        async update(egress, record, revision) {
          await Promise.resolve();
          if ((rows.get(egress)?.revision ?? 0) !== revision) return undefined;
          writes++;
          rows.set(egress, { record, revision: revision + 1 });
          queueMicrotask(() => {
            for (const process of processes) process.restore(egress, record, revision + 1);
          });
          return revision + 1;
        },
      });
      processes.push(warming);
      for (const [egress, { record, revision }] of rows) warming.restore(egress, record, revision);
      return warming;
    },
  };
}

const messageId = MessageId.parse("0".repeat(26));
const observed = (more: Partial<Observation> = {}): Observation => ({
  atMs: noon,
  entry: {
    deliveryId: DeliveryId.parse(`${messageId}-0`),
    messageId,
    organizationId: defaultOrganization,
    recipient: Address.parse("a@gmail.com"),
    attempt: 1,
    traffic: "bulk",
  },
  site: google,
  egress: mail1,
  outcome: "delivered",
  reply: { code: 250, text: "ok" },
  ...more,
});
async function takeAll(warming: Warming, traffic: "bulk" | "transactional", nowMs = noon): Promise<number> {
  for (let count = 0; ; count++) {
    const { kind } = await warming.leave(mail1, google, traffic, nowMs);
    if (kind === "wait") return count;
  }
}

test("an address that is known has no cap and is not counted", async () => {
  const store = startStore();
  const warming = store.join([{ id: "mail1", since: "warm" }]);
  for (let n = 0; n < 500; n++) expect((await warming.leave(mail1, google, "bulk", noon)).kind).toBe("go");
  expect([store.writes(), warming.status("mail1", noon)]).toEqual([0, undefined]);
});

test("several processes never take more than the cap in sum, and all of it", async () => {
  const store = startStore();
  const processes = [store.join(), store.join(), store.join()];
  const counts = await Promise.all(
    processes.flatMap((process) => [takeAll(process, "transactional"), takeAll(process, "bulk")]),
  );
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(1_100);
  expect(store.rows.get("mail1")?.record.taken).toMatchObject({ transactional: expect.any(Number) });
  // In blocks of a hundredth, not one by one.
  expect(store.writes()).toBeLessThan(150);
});

test("counts survive a process, and what it had not used is given back at its end", async () => {
  const store = startStore();
  const first = store.join();
  for (let n = 0; n < 15; n++) await first.leave(mail1, google, "bulk", noon);
  expect(store.rows.get("mail1")?.record.taken.bulk).toBe(22);
  await first.save(noon, true);
  expect(store.rows.get("mail1")?.record.taken.bulk).toBe(15);
  const second = store.join();
  expect(second.status("mail1", noon)?.say).toBe("day 6 of 30, 15 of 1,100 used");
  expect(await takeAll(second, "transactional")).toBe(1_085);
});

test("what lies unused for a minute is given back to the others", async () => {
  const store = startStore();
  const warming = store.join();
  await warming.leave(mail1, google, "bulk", noon);
  await warming.save(noon + 30_000);
  expect(store.rows.get("mail1")?.record.taken.bulk).toBe(11);
  await warming.save(noon + 61_000);
  expect(store.rows.get("mail1")?.record.taken.bulk).toBe(1);
});

test("a message that was not sent, or that a greylist put off, does not count", async () => {
  const store = startStore();
  const warming = store.join();
  await warming.leave(mail1, google, "bulk", noon);
  await warming.leave(mail1, google, "bulk", noon);
  warming.giveBack(mail1, google, "bulk", noon);
  warming.see(observed({ outcome: "deferred", reason: "greylisted", reply: { code: 450, text: "later" } }));
  await warming.save(noon, true);
  expect(store.rows.get("mail1")?.record).toMatchObject({
    taken: { bulk: 0 },
    providers: { google: { taken: 0, deferred: 0 } },
  });
});

test("outcomes are told apart: what is about us, about the list, and about neither", async () => {
  const store = startStore();
  const warming = store.join();
  const reply = { code: 550, text: "no" };
  warming.see(observed());
  warming.see(observed({ outcome: "deferred", reason: "rate.limited", reply }));
  warming.see(observed({ outcome: "bounced", reason: "reputation.listed", hard: false, reply }));
  warming.see(observed({ outcome: "bounced", reason: "mailbox.unknown", hard: true, reply }));
  warming.see(observed({ outcome: "bounced", reason: "mailbox.full", hard: false, reply }));
  // The server put it off; that a rule gave it up says nothing else about the address.
  warming.see(observed({ outcome: "bounced", reason: "rate.limited", hard: false, reply, madeBy: "rule" }));
  warming.see(observed({ site: { id: "mx.example.net" } }));
  await warming.save(noon);
  expect(store.rows.get("mail1")?.record.providers).toMatchObject({
    google: { delivered: 1, deferred: 3, bounced: 1 },
    other: { delivered: 1, deferred: 0, bounced: 0 },
  });
});

test("the day after, one judgement holds for all processes, and counts begin again", async () => {
  const store = startStore();
  const [one, other] = [store.join(), store.join()];
  await takeAll(one, "transactional");
  for (let n = 0; n < 200; n++) one.see(observed());
  await one.save(noon);
  await Promise.all([one.save(noon + dayMs), other.save(noon + dayMs)]);
  const say = "day 8 of 30, 0 of 2,000 used, quicker because day 6 went well";
  expect([one.status("mail1", noon + dayMs)?.say, other.status("mail1", noon + dayMs)?.say]).toEqual([
    say,
    say,
  ]);
});

test("bulk mail lets transactional mail that waits for the cap go first", async () => {
  const store = startStore();
  const warming = store.join();
  await takeAll(warming, "transactional");
  const midnight = Date.UTC(2026, 10, 22);
  await warming.leave(mail1, google, "transactional", midnight - 1_000);
  expect(await warming.leave(mail1, google, "bulk", midnight)).toMatchObject({ kind: "wait" });
  expect((await warming.leave(mail1, google, "transactional", midnight)).kind).toBe("go");
  expect((await warming.leave(mail1, google, "bulk", midnight + 3_600_000)).kind).toBe("go");
});

test("a long backlog comes back one by one over the day, not all at once", async () => {
  const warming = startStore().join();
  const times: number[] = [];
  await takeAll(warming, "bulk");
  for (let n = 0; n < 5_000; n++) {
    const leave = await warming.leave(mail1, google, "bulk", noon);
    if (leave.kind === "wait") times.push(leave.untilMs - noon);
  }
  expect(times).toHaveLength(5_000);
  expect(times[0]).toBeLessThan(1_200_000);
  expect(Math.max(...times)).toBeLessThanOrEqual(dayMs);
  const inFirstHour = times.filter((ms) => ms < 3_600_000).length;
  expect(inFirstHour).toBeWithin(100, 250);
});

test("an address whose date the operator changed begins again", () => {
  const store = startStore();
  const old = store.join([{ id: "mail1", since: { date: "2026-11-01" } }]);
  expect(old.status("mail1", noon)?.day).toBe(21);
  store.rows.set("mail1", {
    revision: 7,
    record: {
      ...{ egress: "mail1", since: "2026-11-01", date: "2026-11-21", day: 21, phase: "warming", halts: 0 },
      ...{ taken: { transactional: 0, bulk: 9 }, transactionalBefore: 0, providers: {} },
    },
  });
  expect(store.join([{ id: "mail1", since: "new" }]).status("mail1", noon)?.day).toBe(21);
  expect(store.join([{ id: "mail1", since: { date: "2026-11-20" } }]).status("mail1", noon)?.day).toBe(2);
});

test("a store that does not answer stops nothing for good: the error is told, and the next message asks again", async () => {
  let isAway = true;
  const warming = createWarming({
    egresses: sixth,
    update: async () => {
      if (isAway) throw new Error("away");
      return 1;
    },
  });
  expect(warming.leave(mail1, google, "bulk", noon)).rejects.toThrow("away");
  isAway = false;
  expect((await warming.leave(mail1, google, "bulk", noon)).kind).toBe("go");
});

const report = (id: string, more: Partial<Report> = {}): Report => ({
  ...{ id, kind: "complained", messageId, organizationId: defaultOrganization, provider: "yahoo" },
  ...more,
});
const two = [
  { id: "mail1", since: { date: "2026-11-16" }, localIp: "198.51.100.1" },
  { id: "mail2", since: { date: "2026-11-16" }, localIp: "198.51.100.2" },
] as const;

test("a complaint counts for the address that sent the message, once, and is told to be stored when it is", async () => {
  const store = startStore();
  const [one, other] = [store.join(two), store.join(two)];
  const origin = originOf("mail2", { organizationId: defaultOrganization });
  const heard = [
    one.hear(report("a", { origin, sourceIp: "198.51.100.1" })),
    one.hear(report("b", { sourceIp: "198.51.100.2" })),
    other.hear(report("a", { origin })),
  ];
  // Nobody can say whose these are.
  expect(await one.hear(report("c"))).toBe(true);
  expect(
    await one.hear(report("d", { origin: originOf("gone", { organizationId: defaultOrganization }) })),
  ).toBe(true);
  await Promise.all([one.save(noon), other.save(noon)]);
  expect(await Promise.all(heard)).toEqual([true, true, true]);
  expect(store.rows.get("mail1")).toBeUndefined();
  expect(store.rows.get("mail2")?.record.providers).toMatchObject({ yahoo: { recent: { complained: 2 } } });
});

test("the only address there is has sent what nothing tells the sender of", async () => {
  const store = startStore();
  const warming = store.join();
  void warming.hear(report("a", { kind: "bounced" }));
  await warming.save(noon);
  expect(store.rows.get("mail1")?.record.providers).toMatchObject({ yahoo: { recent: { bounced: 1 } } });
});

test("what cannot be stored is told so, and outcomes wait for the next time", async () => {
  let isAway = true;
  const stored: WarmingRecord[] = [];
  const warming = createWarming({
    egresses: sixth,
    async update(_, record) {
      if (isAway) throw new Error("away");
      return stored.push(record);
    },
  });
  warming.see(observed());
  const heard = warming.hear(report("a"));
  expect(warming.save(noon)).rejects.toThrow("away");
  expect(await heard).toBe(false);
  isAway = false;
  await warming.save(noon);
  expect(stored.at(-1)?.providers.google?.delivered).toBe(1);
});
