import { afterAll, beforeAll, expect, test } from "bun:test";
import { startTestGateway, type TestGateway } from "../testing.ts";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
  await gateway.addDomain("example.com");
});
afterAll(() => gateway.stop());

const add = (body: unknown) => gateway.call("POST", "/v1/suppressions", body);

test("201 comes when mail to the address is refused from then on; repeating it is harmless", async () => {
  const answer = await add({ address: "Bob@example.org" });
  expect(answer.status).toBe(201);
  expect(await answer.json()).toMatchObject({ address: "Bob@example.org", cause: "manual" });
  const mail = { from: "ann@example.com", to: "bob@example.org", subject: "Hi", text: "x" };
  expect((await gateway.call("POST", "/v1/emails", mail)).status).toBe(422);
  expect((await add({ address: "bob@example.org" })).status).toBe(201);
});

test("400 for what is no address, and for a field that is not known", async () => {
  for (const body of [{ address: "bob" }, {}, { address: "b@example.org", cause: "bounce" }])
    expect((await add(body)).status).toBe(400);
});

test("403 without the scope", async () => {
  const key = await gateway.key("emails:send");
  const answer = await gateway.call(
    "POST",
    "/v1/suppressions",
    { address: "a@example.org" },
    { authorization: `Bearer ${key}` },
  );
  expect(answer.status).toBe(403);
});
