import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { Counter, Registry } from "prom-client";
import { until } from "../../../test/parts/until.ts";
import { sampleEvent } from "../test/samples.ts";
import { done } from "./bus.ts";
import { checkServer, connectBus } from "./connect.ts";
import { provision } from "./provision.ts";
import type { Requests } from "./requests.ts";
import { plainClient, silentLog, startNats, type TestNats } from "./testing.ts";

let nats: TestNats;
beforeAll(async () => {
  nats = await startNats({ users: true });
});
afterEach(() => nats.clear());
afterAll(() => nats.stop());

test("a wrong password is told at once", async () => {
  const login = { ...nats.login("mta"), password: "wrong" };
  await expect(connectBus({ ...login, name: "mta", log: silentLog })).rejects.toThrow(
    "refused the login of user mta",
  );
});

test.each([
  [{ api: { level: 1 } }, "needs nats-server 2.14 or newer"],
  [{}, "needs nats-server 2.14 or newer"],
  [{ api: { level: 4 } }, undefined],
])("a server with %j: %p", async (info, problem) => {
  const requests = { askJson: async () => info } as unknown as Requests;
  const checked = checkServer(requests, "2.10.27", 100);
  if (problem === undefined) await checked;
  else await expect(checked).rejects.toThrow(problem);
});

test("drain lets handlers finish with their publishes, and hands back what was not begun", async () => {
  const [first, second] = [await nats.connect("scanner"), await nats.connect("scanner")];
  const gateway = await nats.connect("gateway");
  const finish = Promise.withResolvers<void>();
  const begun: string[] = [];
  await first.consume(
    "scanner",
    {
      async "mail.submitted"({ id }) {
        begun.push(id);
        await finish.promise;
        await first.publish("mail.scanned", sampleEvent("mail.scanned", `scanned.${id}`));
        return done;
      },
    },
    { concurrency: 2 },
  );
  for (const id of ["a", "b", "c", "d"])
    await gateway.publish("mail.submitted", sampleEvent("mail.submitted", id));
  await until("two are in hand", () => begun.length === 2);

  const drained = first.drain();
  const others: string[] = [];
  await second.consume("scanner", {
    async "mail.submitted"({ id }) {
      others.push(id);
      return done;
    },
  });
  // Long before the 60 s after which the server would give them to another.
  await until("the others are handled elsewhere", () => others.length === 2, { withinMs: 30_000 });
  finish.resolve();
  await drained;
  expect(begun).toEqual(["a", "b"]);
  expect(others.toSorted()).toEqual(["c", "d"]);
  const manager = await (await plainClient(nats.login("admin"))).jetstreamManager();
  expect((await manager.streams.info("EVENTS")).state.messages).toBe(6);
  // The server takes note of acknowledgements a moment after it has them.
  await until("all is acknowledged", async () => {
    const { num_ack_pending } = await manager.consumers.info("EVENTS", "scanner");
    return num_ack_pending === 0;
  });
  await expect(first.publish("mail.held", sampleEvent("mail.held"))).rejects.toThrow("the bus is closed");
  await second.drain();
});

test("drain does not wait for ever for a handler that hangs", async () => {
  const [scanner, gateway] = [await nats.connect("scanner", { drainMs: 50 }), await nats.connect("gateway")];
  let begun = 0;
  const late = Promise.withResolvers<void>();
  await scanner.consume("scanner", {
    async "mail.submitted"() {
      begun++;
      await late.promise;
      return done;
    },
  });
  await gateway.publish("mail.submitted", sampleEvent("mail.submitted"));
  await until("it is in hand", () => begun === 1);
  await scanner.drain();
  expect(scanner.isConnected()).toBe(false);
  // Its verdict comes too late for anybody, and harms nobody.
  late.resolve();
  await Bun.sleep(0);
});

test("metrics count what was published, consumed and decided", async () => {
  const registry = new Registry();
  new Counter({ name: "own_total", help: "of the service", registers: [registry] });
  const [scanner, gateway] = [await nats.connect("scanner", { registry }), await nats.connect("gateway")];
  await scanner.consume("scanner", { "mail.submitted": async () => done });
  await gateway.publish("mail.submitted", sampleEvent("mail.submitted"));
  await scanner.publish("mail.held", sampleEvent("mail.held"));
  await until("it is counted", async () =>
    (await registry.metrics()).includes('tyto_bus_handled_seconds_count{durable="scanner",verdict="done"} 1'),
  );
  const text = await registry.metrics();
  expect(text).toContain('tyto_bus_consumed_total{durable="scanner",times="first"} 1');
  expect(text).toContain('tyto_bus_publish_seconds_count{subject="mail.held"} 1');
  expect(text).toContain("tyto_bus_connected 1");
  expect(text).toContain('tyto_bus_waiting{durable="scanner"} 0');
});

test("a publish outlives a restart of the server, and is stored once", async () => {
  const gateway = await nats.connect("gateway", { publishMs: 60_000 });
  await nats.kill();
  const publishes = Array.from({ length: 50 }, (_, index) =>
    gateway.publish("mail.cancelled", sampleEvent("mail.cancelled", `during.${index}`)),
  );
  await until("the bus knows", () => !gateway.isConnected());
  const count = gateway.count("key", 1_000);
  await nats.restart();
  await Promise.all(publishes);
  expect(await count).toBe(1);
  const manager = await (await plainClient(nats.login("admin"))).jetstreamManager();
  expect((await manager.streams.info("EVENTS")).state.messages).toBe(50);
});

test("a publish is given up at its deadline", async () => {
  const gateway = await nats.connect("gateway", { publishMs: 150 });
  await nats.kill();
  const startedAt = performance.now();
  await expect(gateway.publish("mail.cancelled", sampleEvent("mail.cancelled"))).rejects.toMatchObject({
    code: "upstream.down",
  });
  expect(performance.now() - startedAt).toBeLessThan(8_000);
  await nats.restart();
  await until("the bus is back", () => gateway.isConnected());
});

test("a service that starts before its streams are made begins when they are there", async () => {
  const bare = await startNats({ bare: true });
  const scanner = await bare.connect("scanner");
  let handled = 0;
  await scanner.consume("scanner", {
    async "mail.submitted"() {
      handled++;
      return done;
    },
  });
  const watching = scanner.bucket("CLAIMS").watch(() => {});
  const put = scanner.bucket("SYNC").put("early", { sequence: 1, log: "a" });
  const published = scanner.publish("mail.submitted", sampleEvent("mail.submitted"));
  await provision(bare.login("admin"), silentLog);
  await Promise.all([put, published, watching]);
  await until("all has come", () => handled === 1);
  await bare.stop();
});
