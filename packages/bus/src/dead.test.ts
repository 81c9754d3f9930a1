import { afterAll, beforeAll, expect, test } from "bun:test";
import { until } from "../../../test/parts/until.ts";
import { sampleEntry, sampleEvent } from "../test/samples.ts";
import { done, reject } from "./bus.ts";
import { type DeadLetters, openDeadLetters } from "./dead.ts";
import { encode } from "./requests.ts";
import { plainClient, silentLog, startNats, type TestNats } from "./testing.ts";

let nats: TestNats;
let letters: DeadLetters;
beforeAll(async () => {
  nats = await startNats({ users: true });
  letters = await openDeadLetters(nats.login("admin"), silentLog);
});
afterAll(async () => {
  await letters.close();
  await nats.stop();
});

test("a rejected message is listed, shown and, retried, handled; then its letter is gone", async () => {
  const [scanner, gateway] = [await nats.connect("scanner"), await nats.connect("gateway")];
  let isBroken = true;
  const seen: string[] = [];
  await scanner.consume("scanner", {
    async "mail.submitted"({ id }) {
      if (isBroken) return reject("the scanner has a bug");
      seen.push(id);
      return done;
    },
  });
  const payload = sampleEvent("mail.submitted");
  await gateway.publish("mail.submitted", payload);
  const [letter] = await until("it is listed", async () => {
    const found = await letters.list();
    return found.length > 0 ? found : undefined;
  });
  expect(letter).toMatchObject({
    ...{ stream: "EVENTS", durable: "scanner", subject: "mail.submitted" },
    ...{ reason: "the scanner has a bug", times: 1 },
  });
  const sequence = letter?.sequence ?? 0;
  expect(JSON.parse((await letters.show(sequence)).text)).toEqual(payload);

  isBroken = false;
  await letters.retry(sequence);
  await until("it is handled", () => seen.length === 1);
  expect(seen).toEqual([payload.id]);
  expect(await letters.list()).toEqual([]);
  await expect(letters.retry(sequence)).rejects.toMatchObject({ code: "resource.unknown" });
});

test("what broke its contract can be retried once the contract knows it, and dies again while it does not", async () => {
  const mta = await nats.connect("mta");
  await mta.queue.consume({ concurrency: 1 }, async () => done);
  const admin = await plainClient(nats.login("admin"));
  await admin.jetstream().publish("queue.send.bulk.example_org", encode({ ...sampleEntry(), attempt: 0 }));
  const find = (after: number) =>
    until("it is listed", async () =>
      (await letters.list(after + 1)).find(({ stream }) => stream === "QUEUE"),
    );
  const letter = await find(0);
  expect(letter.reason).toContain("attempt:");
  await letters.retry(letter.sequence);
  const again = await find(letter.sequence);
  expect(again.reason).toBe(letter.reason);
  await admin.drain();
});
