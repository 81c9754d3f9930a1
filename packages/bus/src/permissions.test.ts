import { afterAll, beforeAll, expect, test } from "bun:test";
import { Failure, type Subject, subjects, type UserName, users } from "@tyto/contracts";
import type { NatsConnection } from "nats";
import { until } from "../../../test/parts/until.ts";
import { sampleEntry, sampleEvent } from "../test/samples.ts";
import { type Bus, done, reject } from "./bus.ts";
import { encode } from "./requests.ts";
import { plainClient, startNats, type TestNats } from "./testing.ts";

/** With ops/nats.conf as it is committed: what the services do works, and what they must not do does not. */
let nats: TestNats;
const buses = {} as Record<UserName, Bus>;
const names = Object.keys(users) as UserName[];
const cleanups: (() => Promise<void>)[] = [];

beforeAll(async () => {
  nats = await startNats({ users: true });
  for (const name of names) buses[name] = await nats.connect(name, { publishMs: 20_000 });
});
afterAll(async () => {
  for (const clean of cleanups) await clean();
  await nats.stop();
});

/** A plain client with a user's login, as a stranger who got hold of the password would have. */
async function plain(user: UserName | "subscriber" | "admin"): Promise<NatsConnection> {
  const client = await plainClient(nats.login(user));
  cleanups.push(() => client.drain());
  return client;
}

/** Whether the server refuses the publish; a subject without listeners that is allowed gives "no responders" or an answer. */
async function isRefused(client: NatsConnection, subject: string): Promise<boolean> {
  try {
    await client.request(subject, new Uint8Array(), { timeout: 20_000 });
    return false;
  } catch (error) {
    return /permissions violation/i.test(String(error));
  }
}

test("every service may publish its own events, and no other", async () => {
  const outcomes = await Promise.all(
    names.flatMap((name) =>
      subjects.map(async (subject): Promise<[string, boolean]> => {
        const publish = buses[name].publish(subject, sampleEvent(subject));
        return [`${name} ${subject}`, await publish.then(() => true, isDenial)];
      }),
    ),
  );
  const isOwn = (name: UserName, subject: Subject) =>
    (users[name].publishes as readonly Subject[]).includes(subject);
  expect(outcomes.filter(([, published]) => published).map(([what]) => what)).toEqual(
    names.flatMap((name) =>
      subjects.filter((subject) => isOwn(name, subject)).map((subject) => `${name} ${subject}`),
    ),
  );
});

/** False for a refusal; anything else is a surprise. */
function isDenial(error: unknown): false {
  if (error instanceof Failure && /may not publish/.test(error.message)) return false;
  throw error;
}

test("the scanner cannot say that a mail was delivered", async () => {
  const client = await plain("scanner");
  expect(await isRefused(client, "mail.delivered")).toBe(true);
  expect(await isRefused(client, "$JS.API.INFO")).toBe(false);
});

test("only the mta reaches the queue", async () => {
  const entry = sampleEntry();
  for (const name of names.filter((other) => other !== "mta")) {
    const client = await plain(name);
    for (const subject of ["queue.send.bulk.example_org", "queue.later.x", "$JS.API.STREAM.PURGE.QUEUE"])
      expect({ name, subject, refused: await isRefused(client, subject) }).toEqual({
        ...{ name, subject },
        refused: true,
      });
    await expect(buses[name].queue.add([entry])).rejects.toThrow("may not publish");
  }
});

test("no service makes or deletes streams and durables", async () => {
  for (const name of names) {
    const client = await plain(name);
    for (const subject of [
      "$JS.API.STREAM.CREATE.X",
      "$JS.API.STREAM.DELETE.EVENTS",
      "$JS.API.STREAM.PURGE.EVENTS",
      "$JS.API.CONSUMER.CREATE.EVENTS.x",
      "$JS.API.CONSUMER.DELETE.QUEUE.mta-send-0",
      "$JS.API.STREAM.MSG.GET.DEAD",
    ])
      expect({ name, subject, refused: await isRefused(client, subject) }).toEqual({
        ...{ name, subject },
        refused: true,
      });
  }
});

test("no service hears what others are answered, nor events beside its durable", async () => {
  for (const name of names) {
    const client = await plain(name);
    for (const subject of ["_INBOX_admin.>", "_INBOX.>", "mail.>", ">"]) {
      const outcome = new Promise<string>((resolve) => {
        client.subscribe(subject, { callback: (error) => resolve(error ? "refused" : "heard") });
      });
      await client.flush();
      expect({ name, subject, outcome: await outcome }).toEqual({ name, subject, outcome: "refused" });
    }
  }
});

test("the subscriber hears mail events and reports as they happen, and may publish nothing", async () => {
  const client = await plain("subscriber");
  const heard: string[] = [];
  client.subscribe("mail.>", { callback: (_, message) => heard.push(message.subject) });
  await client.flush();
  client.subscribe("report.>", { callback: (_, message) => heard.push(message.subject) });
  client.subscribe("sending.>", { callback: (_, message) => heard.push(message.subject) });
  await client.flush();
  await buses.bounce.publish("mail.received", sampleEvent("mail.received"));
  await buses.bounce.publish("report.dmarc", sampleEvent("report.dmarc"));
  await buses.mta.publish("sending.held", sampleEvent("sending.held"));
  await until("the events are heard", () =>
    (["mail.received", "report.dmarc", "sending.held"] as const).every((subject) => heard.includes(subject)),
  );

  const denied: string[] = [];
  const watch = async () => {
    for await (const status of client.status())
      if (status.permissionContext) denied.push(status.permissionContext.subject);
  };
  void watch();
  const attempts = ["mail.accepted", "anything", "$JS.API.INFO", "body.x.0", "$KV.DOMAINS.example.com"];
  for (const subject of attempts) client.publish(subject, "{}");
  await until("all are refused", () => denied.length === attempts.length);
  expect(denied).toEqual(attempts);
  const queue = new Promise((resolve) => {
    client.subscribe("queue.>", { callback: (error) => resolve(error) });
  });
  expect(String(await queue)).toMatch(/permissions violation/i);
});

test("bodies: the gateway puts, scanner and mta get and drop", async () => {
  const bytes = crypto.getRandomValues(new Uint8Array(1_000));
  for (const reader of ["scanner", "mta"] as const) {
    const parts = await buses.gateway.bodies.put(`for-${reader}`, bytes);
    expect(await buses[reader].bodies.get(`for-${reader}`, parts)).toEqual(bytes);
    await buses[reader].bodies.drop(`for-${reader}`);
    await expect(buses[reader].bodies.get(`for-${reader}`, parts)).rejects.toThrow("is gone");
  }
  await expect(buses.gateway.bodies.get("x", 1)).rejects.toThrow("may not publish");
  await expect(buses.bounce.bodies.put("x", bytes)).rejects.toThrow("may not publish");
});

test("raw mail: bounce puts, the recorder gets and drops", async () => {
  const bytes = crypto.getRandomValues(new Uint8Array(1_000));
  const parts = await buses.bounce.raw.put("in1", bytes);
  expect(await buses.recorder.raw.get("in1", parts)).toEqual(bytes);
  await buses.recorder.raw.drop("in1");
  await expect(buses.scanner.raw.get("in1", parts)).rejects.toThrow("may not publish");
});

test("the gateway counts requests, and nobody else does", async () => {
  expect(await buses.gateway.count("key1", 1_000)).toBe(1);
  await expect(buses.mta.count("key1", 1_000)).rejects.toThrow("may not publish");
});

test("every service consumes its durables, and buries what it rejects", async () => {
  const seen: string[] = [];
  const see = (text: string) => {
    seen.push(text);
    return Promise.resolve(done);
  };
  await buses.scanner.consume("scanner", { "mail.submitted": () => see("scanner") });
  await buses.mta.consume("mta-intake", {
    "mail.accepted": () => see("mta-intake"),
    "mail.scanned": () => Promise.resolve(reject("to see that it may be buried")),
  });
  await buses.recorder.consumeBatches("recorder", { batchMax: 50, waitMs: 5 }, () => see("recorder"));
  const entry = sampleEntry();
  await buses.mta.queue.consume({ concurrency: 4 }, () => see("queue"));
  await buses.gateway.publish("mail.submitted", sampleEvent("mail.submitted"));
  await buses.gateway.publish("mail.accepted", sampleEvent("mail.accepted"));
  await buses.scanner.publish("mail.scanned", sampleEvent("mail.scanned"));
  await buses.mta.queue.add([entry]);
  await until("each saw one", () =>
    ["scanner", "mta-intake", "recorder", "queue"].every((who) => seen.includes(who)),
  );
  const admin = await plain("admin");
  const manager = await admin.jetstreamManager();
  await until(
    "the dead letter is there",
    async () => (await manager.streams.info("DEAD")).state.messages > 0,
  );
  await until("the queue is empty", async () => {
    const { ready, later } = await buses.mta.queue.depth();
    return ready + later === 0;
  });
});

test("the mta adds schedules", async () => {
  await buses.mta.queue.add([sampleEntry()], Date.now() + 60_000);
  // A durable hears of what is stored a moment after whoever stored it.
  await until("it waits", async () => (await buses.mta.queue.depth()).later === 1);
});

test("buckets: everybody reads and writes what the table says, and no more", async () => {
  const record = { sequence: 1, log: "a" };
  const changes: unknown[] = [];
  const watch = await buses.recorder.bucket("SYNC").watch((key, value) => changes.push([key, value]));
  await buses.recorder.bucket("SYNC").put("cursor", record);
  await until("the change is seen", () => changes.length === 1);
  watch.stop();
  expect(await buses.recorder.bucket("SYNC").get("cursor")).toMatchObject(record);
  for (const name of names.filter((other) => other !== "recorder")) {
    await expect(buses[name].bucket("SYNC").put("cursor", record)).rejects.toThrow("may not publish");
    await expect(buses[name].bucket("SYNC").get("cursor")).rejects.toThrow("may not publish");
  }
  const claim = { by: "cancelled" as const, at: 1 };
  expect(await buses.gateway.bucket("CLAIMS").create("m1", claim)).toBe(true);
  expect(await buses.mta.bucket("CLAIMS").create("m1", { ...claim, by: "released" })).toBe(false);
});

test("the answer to a read cannot pass as an event, a queue entry, a value or a body", async () => {
  const client = await plain("gateway");
  const forged = sampleEvent("mail.delivered", "forged");
  await client.request("$KV.CLAIMS.forged", encode(forged), { timeout: 20_000 });
  // The server checks what a user publishes, not where it wants the answer to go.
  const read = "$JS.API.DIRECT.GET.KV_CLAIMS.$KV.CLAIMS.forged";
  for (const reply of ["mail.delivered", "$KV.SUPPRESSIONS.forged", "body.forged.0"])
    client.publish(read, new Uint8Array(), { reply });
  await client.flush();
  const manager = await (await plain("admin")).jetstreamManager();
  await until("the forged event is buried", async () => {
    const last = await manager.streams
      .getMessage("DEAD", { last_by_subj: "dead.EVENTS.recorder" })
      .catch(() => undefined);
    return last?.header.get("Tyto-Reason").includes("answer to a read");
  });
  const failsWith = (words: string, read: () => Promise<unknown>) =>
    until(words, () =>
      read().then(
        () => false,
        (error: unknown) => String(error).includes(words),
      ),
    );
  await failsWith("answer to a read", () => buses.mta.bucket("SUPPRESSIONS").get("forged"));
  await failsWith("not stored by a publish", () => buses.mta.bodies.get("forged", 1));
});
