import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { type ControlAnswer, DeliveryId, Failure } from "@tyto/contracts";
import { headers as natsHeaders } from "nats";
import { until } from "../../../../test/parts/until.ts";
import type { Bus } from "../bus.ts";
import { encode } from "../requests.ts";
import { plainClient, startNats, type TestNats } from "../testing.ts";
import { headers, kinds } from "./wire.ts";

let nats: TestNats;
let gateway: Bus;
let one: Bus;
let other: Bus;
const answerers: { stop(): void }[] = [];

beforeAll(async () => {
  nats = await startNats({ users: true });
  [gateway, one, other] = await Promise.all([
    nats.connect("gateway"),
    nats.connect("mta"),
    nats.connect("mta"),
  ]);
});
afterEach(async () => {
  for (const answerer of answerers.splice(0)) answerer.stop();
  await Promise.all([reached(one), reached(other)]);
});
afterAll(() => nats.stop());

const withholding = (bus: Bus, inHand: string[], msUntilAnswer = 0) => {
  answerers.push(
    bus.control.answer("mta.withhold", async () => {
      await Bun.sleep(msUntilAnswer);
      return { inHand: inHand.map((id) => DeliveryId.parse(id)) };
    }),
  );
};
const first = DeliveryId.parse("01ks2m8h3nvbx7r3c1yq0w9d4t-0");
const second = DeliveryId.parse("01ks2m8h3nvbx7r3c1yq0w9d4t-1");
const noQuestion = { deliveryIds: [], forMs: 0 };
/** Whatever this bus subscribed to before, or does no longer, is known to the server. */
const reached = (bus: Bus) => bus.bucket("CLAIMS").get("nothing");
const holdsNothing = async (): Promise<ControlAnswer<"mta.holds">> => ({ holds: [] });

test("one of several processes answers a question for one", async () => {
  const asked: string[] = [];
  for (const [name, bus] of [
    ["one", one],
    ["other", other],
  ] as const)
    answerers.push(
      bus.control.answer("mta.holds", async () => {
        asked.push(name);
        return { holds: [] };
      }),
    );
  await reached(one);
  expect(await gateway.control.ask("mta.holds", {})).toEqual({ holds: [] });
  expect(asked).toHaveLength(1);
});

test("all processes answer a question for all, also one that takes its time", async () => {
  withholding(one, [first]);
  withholding(other, [second], 600);
  await reached(other);
  // On a busy machine one of them may be heard of so late that it is not waited for; not every time.
  await until("both answer", async () => {
    const { answers, silent } = await one.control.askAll("mta.withhold", noQuestion);
    const inHand = answers.flatMap((answer) => answer.inHand).toSorted();
    return silent === 0 && Bun.deepEquals(inHand, [first, second]);
  });
});

test("with nobody there a question for all has no answers, and one for one fails at once", async () => {
  expect(await gateway.control.askAll("mta.state", {})).toEqual({ answers: [], silent: 0 });
  const startedMs = performance.now();
  await expect(gateway.control.ask("mta.holds", {})).rejects.toThrow("no process answers");
  expect(performance.now() - startedMs).toBeLessThan(4_500);
});

test("a process that is too busy to be heard of in time is waited for, and is silent when it says nothing at all", async () => {
  const busy = await plainClient(nats.login("mta"));
  answerers.push({ stop: () => void busy.close() });
  const answer = encode({ inHand: [first] });
  const said = natsHeaders();
  said.set(headers.kind, kinds.answer);
  said.set(headers.process, "busy");
  busy.subscribe("ctl.mta.withhold", {
    callback: (_, { reply = "" }) =>
      void setTimeout(() => busy.publish(reply, answer, { headers: said }), 900),
  });
  busy.subscribe("ctl.mta.state");
  await busy.flush();
  const [late, never] = await Promise.all([
    // It has not asked before, so it waits for nobody whom it remembers.
    other.control.askAll("mta.withhold", noQuestion),
    gateway.control.askAll("mta.state", {}),
  ]);
  expect(late).toEqual({ answers: [{ inHand: [first] }], silent: 0 });
  expect(never).toEqual({ answers: [], silent: 1 });
});

test("a Failure comes back with its code, its hint and what is wrong where, and a defect as internal", async () => {
  answerers.push(
    one.control.answer("mta.hold", async () => {
      throw new Failure("request.invalid", "no such site", {
        hint: "see tyto queue",
        issues: [{ path: "id", problem: "is no site" }],
      });
    }),
    one.control.answer("mta.release", async () => {
      throw new TypeError("undefined is no function");
    }),
  );
  await reached(one);
  const question = { scope: "site", id: "x", why: "test", by: "root" } as const;
  await expect(gateway.control.ask("mta.hold", question)).rejects.toMatchObject({
    code: "request.invalid",
    hint: "see tyto queue",
    issues: [{ path: "id", problem: "is no site" }],
  });
  await expect(gateway.control.ask("mta.release", { key: "a", by: "b" })).rejects.toMatchObject({
    code: "internal",
  });
});

test("neither a question nor an answer that breaks its contract passes", async () => {
  answerers.push(one.control.answer("mta.holds", (async () => ({ holds: [{ wrong: true }] })) as never));
  await reached(one);
  await expect(gateway.control.ask("mta.holds", { more: "x".repeat(300_000) } as never)).rejects.toThrow();
  await expect(gateway.control.ask("mta.holds", {})).rejects.toThrow("breaks its contract");
  await expect(gateway.control.ask("mta.rules-trial", { sinceMs: -1 })).rejects.toThrow(
    "breaks its contract",
  );
});

test("an answer is said where answers go, whatever subject a question names for it", async () => {
  answerers.push(one.control.answer("mta.holds", holdsNothing));
  await reached(one);
  const client = await plainClient(nats.login("gateway"));
  const admin = await plainClient(nats.login("admin"));
  const heard: string[] = [];
  for (const subject of ["mail.>", "queue.>", "ctl.answer.>"])
    admin.subscribe(subject, { callback: (_, message) => heard.push(message.subject) });
  await admin.flush();
  for (const reply of ["mail.delivered", "queue.send.1.a.b", "ctl.answer.gateway.here"])
    client.publish("ctl.mta.holds", encode({}), { reply });
  await until("the true one is answered", () => heard.length >= 2);
  expect(new Set(heard)).toEqual(new Set(["ctl.answer.gateway.here"]));
  await Promise.all([client.drain(), admin.drain()]);
});

test("answers follow each other until the listener goes, and a process that comes later joins", async () => {
  const line = (text: string) => ({
    ...{ process: "p", dropped: 0 },
    lines: [{ atMs: 1, session: "s", host: "mx.test", ip: "192.0.2.1", side: ">" as const, text }],
  });
  const ended: string[] = [];
  answerers.push(
    one.control.answerOften("mta.trace", ({ domain }, say, signal) => {
      say(line(`EHLO to ${domain}`));
      setTimeout(() => say(line("MAIL")), 10);
      signal.addEventListener("abort", () => ended.push("one"));
    }),
  );
  await reached(one);
  const heard: string[] = [];
  const listening = new AbortController();
  const following = gateway.control.follow(
    "mta.trace",
    { domain: "example.org" },
    ({ lines }) => heard.push(...lines.map(({ text }) => text)),
    listening.signal,
  );
  await until("two lines came", () => heard.length === 2);
  expect(heard).toEqual(["EHLO to example.org", "MAIL"]);
  listening.abort();
  await following;
  for (const answerer of answerers.splice(0)) answerer.stop();
  expect(ended).toEqual(["one"]);
});

test("nobody but the mta hears questions, and nobody hears the answers of others", async () => {
  for (const user of ["gateway", "scanner", "bounce", "recorder", "subscriber"] as const) {
    const client = await plainClient(nats.login(user));
    for (const subject of ["ctl.>", "ctl.mta.holds", "ctl.answer.>", "ctl.answer.mta.>"]) {
      const outcome = new Promise<string>((resolve) => {
        client.subscribe(subject, { callback: (error) => resolve(error ? "refused" : "heard") });
      });
      await client.flush();
      expect({ user, subject, outcome: await outcome }).toEqual({ user, subject, outcome: "refused" });
    }
    await client.drain();
  }
});

test("only the gateway asks, and withholding is between mta processes", async () => {
  answerers.push(one.control.answer("mta.holds", holdsNothing));
  withholding(one, []);
  await reached(one);
  for (const user of ["scanner", "bounce", "recorder", "gateway"] as const) {
    const client = await plainClient(nats.login(user));
    const denied: string[] = [];
    const watch = async () => {
      for await (const status of client.status())
        if (status.permissionContext) denied.push(status.permissionContext.subject);
    };
    void watch();
    const subjects = [
      "ctl.mta.withhold",
      "ctl.answer.gateway.x",
      ...(user === "gateway" ? [] : ["ctl.mta.holds"]),
    ];
    for (const subject of subjects) client.publish(subject, encode({}));
    await until(`${user} is refused`, () => denied.length === subjects.length);
    await client.drain();
  }
});
