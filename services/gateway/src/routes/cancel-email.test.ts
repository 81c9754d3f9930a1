import { afterAll, beforeAll, expect, test } from "bun:test";
import type { SendAnswer } from "@tyto/contracts";
import { startTestGateway, type TestGateway } from "../testing.ts";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway({ users: true });
  await gateway.addDomain("example.com");
});
afterAll(() => gateway.stop());

const send = async (aheadMs?: number) => {
  const scheduled_at =
    aheadMs === undefined ? undefined : new Date(gateway.clock.now + aheadMs).toISOString();
  const mail = { from: "ann@example.com", to: "bob@example.org", subject: "Hi", text: "x", scheduled_at };
  return ((await (await gateway.call("POST", "/v1/emails", mail)).json()) as SendAnswer).id;
};
const cancel = (id: string, headers?: Record<string, string>) =>
  gateway.call("POST", `/v1/emails/${id}/cancel`, undefined, headers);
const cancellations = async (id: string) =>
  (await gateway.events()).filter(
    ({ subject, payload }) => subject === "mail.cancelled" && payload.messageId === id,
  ).length;

test("200 claims the message, once however often it is asked, before and after Convex knows it", async () => {
  const id = await send(60_000);
  const answer = await cancel(id);
  expect(answer.status).toBe(200);
  expect(await answer.json()).toEqual({ id, status: "cancelled" });
  await gateway.record();
  expect((await cancel(id)).status).toBe(200);
  expect(await cancellations(id)).toBe(1);
  const mta = await gateway.nats.connect("mta");
  expect(await mta.bucket("CLAIMS").create(id, { by: "released", at: 0 })).toBe(false);
  expect(await mta.bucket("CLAIMS").get(id)).toMatchObject({ by: "cancelled" });
});

test("409 when the mta was first", async () => {
  const id = await send(60_000);
  const mta = await gateway.nats.connect("mta");
  await mta.bucket("CLAIMS").create(id, { by: "released", at: 0 });
  const answer = await cancel(id);
  expect(answer.status).toBe(409);
  expect(await answer.json()).toMatchObject({ code: "message.already-sent" });
  expect(await cancellations(id)).toBe(0);
});

test("409 for a message that is not scheduled", async () => {
  expect((await cancel(await send())).status).toBe(409);
});

test("404 for an id that is not known", async () => {
  expect((await cancel("01mcc5rm007fa6gsq1583yc9sa")).status).toBe(404);
});

test("403 without the scope", async () => {
  const key = await gateway.key("emails:read");
  expect((await cancel(await send(60_000), { authorization: `Bearer ${key}` })).status).toBe(403);
});
