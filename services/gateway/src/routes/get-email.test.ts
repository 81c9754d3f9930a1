import { afterAll, beforeAll, expect, test } from "bun:test";
import { EmailDetail, newMessageId, type SendAnswer } from "@tyto/contracts";
import { startTestGateway, type TestGateway } from "../testing.ts";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
  await gateway.addDomain("example.com");
  await gateway.suppress("gone@example.org");
});
afterAll(() => gateway.stop());

const send = async () => {
  const mail = {
    from: "ann@example.com",
    to: ["bob@example.org", "gone@example.org"],
    bcc: "carl@example.org",
    subject: "Hi",
    text: "x",
    metadata: { order: "17" },
  };
  return (await (await gateway.call("POST", "/v1/emails", mail)).json()) as SendAnswer;
};
const get = async (id: string) => {
  const answer = await gateway.call("GET", `/v1/emails/${id}`);
  expect(answer.status).toBe(200);
  return EmailDetail.parse(await answer.json());
};
const settled = ({ recipients, ...rest }: EmailDetail) => ({
  ...rest,
  timeline: rest.timeline.map(({ event, recipient }) => ({ event, recipient })),
  recipients: recipients.toSorted((one, other) => one.address.localeCompare(other.address)),
});

test("200 right after the 202 tells the same as once Convex knows the message", async () => {
  const { id } = await send();
  const before = await get(id);
  expect(before).toMatchObject({ status: "accepted", subject: "Hi", metadata: { order: "17" } });
  expect(before.recipients).toEqual([
    { address: "bob@example.org", role: "to", status: "accepted", attempts: 0 },
    { address: "carl@example.org", role: "bcc", status: "accepted", attempts: 0 },
    { address: "gone@example.org", role: "to", status: "suppressed", attempts: 0 },
  ]);
  await gateway.record();
  const after = await get(id);
  expect(after.timeline[0]?.detail).toMatchObject({ recipients: 2 });
  expect(settled(after)).toEqual(settled(before));
});

test("200 for a message accepted here while Convex is away", async () => {
  const { id } = await send();
  gateway.outage.convex = true;
  const found = await get(id);
  gateway.outage.convex = false;
  expect(found.id).toBe(id);
});

test("404 for an id that is not known, and for one that cannot be", async () => {
  for (const id of [newMessageId(), "none", "%20"]) {
    const answer = await gateway.call("GET", `/v1/emails/${id}`);
    expect(answer.status).toBe(404);
    expect(await answer.json()).toMatchObject({ code: "message.unknown" });
  }
});

test("503 for an id that is not known here while Convex is away", async () => {
  gateway.outage.convex = true;
  const answer = await gateway.call("GET", `/v1/emails/${newMessageId()}`);
  gateway.outage.convex = false;
  expect(answer.status).toBe(503);
});

test("401 without a key, 403 without the scope", async () => {
  const { id } = await send();
  expect((await gateway.request(`/v1/emails/${id}`)).status).toBe(401);
  const key = await gateway.key("emails:send");
  const headers = { authorization: `Bearer ${key}` };
  expect((await gateway.request(`/v1/emails/${id}`, { headers })).status).toBe(403);
});
