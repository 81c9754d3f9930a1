/** Reports on a real nats-server, from the mail port to the schedules of addresses. */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import type { Bus } from "@tyto/bus";
import { plainClient, startNats, type TestNats } from "@tyto/bus/testing";
import { Address, DeliveryId, defaultOrganization, newMessageId, type Payload } from "@tyto/contracts";
import { until } from "../../../test/parts/until.ts";
import { type Feedback, hearFeedback, reportOf } from "./feedback.ts";
import { originOf } from "./origin.ts";
import { every } from "./rounds.ts";
import { createWarming } from "./warming/warming.ts";

let nats: TestNats;
let bounce: Bus;
beforeAll(async () => {
  nats = await startNats({ users: true });
});
beforeEach(async () => {
  await nats.clear();
  bounce = await nats.connect("bounce");
});
afterAll(() => nats.stop());

const noon = Date.UTC(2026, 10, 21, 12);
const messageId = newMessageId(noon);
const origin = originOf("mail2", { organizationId: defaultOrganization });
const about = (id: string) => ({
  ...{ id, at: noon, organizationId: defaultOrganization, messageId, rawId: "raw1" },
  deliveryId: DeliveryId.parse(`${messageId}-0`),
});
const complaint = (
  id: string,
  more: Partial<Payload<"mail.complained">> = {},
): Payload<"mail.complained"> => ({
  ...about(id),
  ...{ feedback: "abuse", format: "arf", reporter: "yahoo.com", origin },
  ...more,
});
const bounced = (id: string, more: Partial<Payload<"mail.bounced">> = {}): Payload<"mail.bounced"> => ({
  ...about(id),
  ...{ source: "dsn", reason: "mailbox.unknown", fault: "recipient", hard: true, confidence: 0.95 },
  ...{ recipient: Address.parse("ann@yahoo.com"), origin },
  ...more,
});

async function startMta(saves: boolean) {
  const bus = await nats.connect("mta");
  const bucket = bus.bucket("WARMING");
  const since = { date: "2026-11-10" };
  const warming = createWarming({
    egresses: [
      { id: "mail1", since },
      { id: "mail2", since },
    ],
    update: bucket.update,
  });
  const watch = await bucket.watch(warming.restore);
  const heard: string[] = [];
  const hearing = await hearFeedback(bus, [
    (report) => {
      heard.push(report.id);
      return warming.hear(report);
    },
  ]);
  const saving = saves
    ? every(
        20,
        () => warming.save(noon),
        () => {},
      )
    : undefined;
  return {
    warming,
    heard,
    async stop() {
      await hearing.stop();
      await saving?.stop();
      watch.stop();
    },
  };
}

test("complaints and late bounces slow the address that sent the mail, at the provider that they come from", async () => {
  const mta = await startMta(true);
  for (let n = 0; n < 6; n++) await bounce.publish("mail.complained", complaint(`c${n}`));
  for (let n = 0; n < 2; n++) await bounce.publish("mail.bounced", bounced(`b${n}`));
  await bounce.publish("mail.complained", complaint("kind", { feedback: "not-spam" }));
  await until(
    "the provider is paused",
    () => mta.warming.status("mail2", noon)?.say.includes("paused") === true,
  );
  expect(mta.warming.status("mail2", noon)?.say).toMatch(
    /paused until 23 Nov because Yahoo complained about \d+ %$/,
  );
  expect(mta.warming.status("mail1", noon)?.say).toBe("day 12 of 30, 0 of 5,250 used");
  await mta.stop();
});

test("a report is not over before it is stored, and one that comes again after a restart counts once", async () => {
  const client = await plainClient(nats.login("admin"));
  const manager = await client.jetstreamManager();
  const underWay = async () => (await manager.consumers.info("EVENTS", "mta-feedback")).num_ack_pending;
  const first = await startMta(false);
  for (let n = 0; n < 4; n++) await bounce.publish("mail.complained", complaint(`d${n}`));
  await until("it has heard them", () => first.heard.length === 4);
  expect(await underWay()).toBe(4);
  await first.warming.save(noon);
  await until("they are over", async () => (await underWay()) === 0);
  await first.stop();

  // As when it had died between storing and acknowledging.
  const second = await startMta(true);
  for (let n = 0; n < 4; n++) {
    const report = reportOf({ complained: complaint(`d${n}`) });
    if (report !== undefined) expect(await second.warming.hear(report)).toBe(true);
  }
  await second.stop();
  const found = await (await nats.connect("mta")).bucket("WARMING").get("mail2");
  expect(found?.providers.yahoo?.recent?.complained).toBe(4);
  await client.drain();
});

test("only what speaks against the sender is a report, and it names the provider that the mail is at", () => {
  const read = (feedback: Feedback) => reportOf(feedback);
  expect(read({ complained: complaint("a", { feedback: "opt-out" }) })).toBeUndefined();
  expect(read({ bounced: bounced("a", { source: "smtp" }) })).toBeUndefined();
  expect(read({ bounced: bounced("a", { confidence: 0.4 }) })).toBeUndefined();
  expect(read({ bounced: bounced("a", { reason: "mailbox.full", hard: false }) })).toBeUndefined();
  expect(read({ bounced: bounced("a") })).toMatchObject({ kind: "bounced", provider: "yahoo", origin });
  // A guess and what is sure are one bounce of their delivery.
  expect(read({ bounced: bounced("b", { confidence: 0.5 }) })?.id).toBe(
    read({ bounced: bounced("a") })?.id ?? "",
  );
  const hosted = {
    recipient: Address.parse("ann@shop.example"),
    remoteMta: "mx1.mail.protection.outlook.com",
  };
  expect(read({ bounced: bounced("a", hosted) })?.provider).toBe("microsoft");
  expect(read({ complained: complaint("a", { reporter: "feedback.comcast.net" }) })?.provider).toBe(
    "comcast",
  );
  const redirected = { reporter: "validity.example", claimedRecipient: Address.parse("ann@gmx.de") };
  expect(read({ complained: complaint("a", redirected) })?.provider).toBe("united-internet");
  expect(read({ complained: complaint("a", { reporter: "shop.example" }) })?.provider).toBeUndefined();
});
