import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startTestGateway, type TestGateway } from "../testing.ts";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway();
  await gateway.addDomain("example.com");
});
afterAll(() => gateway.stop());

const mail = { from: "Ann <ann@example.com>", to: "bob@example.org", subject: "Hi", text: "Hello" };

test("202", async () => {
  const t = performance.now();
  const answer = await gateway.call("POST", "/v1/emails", mail);
  console.log(answer.status, await answer.text(), [...answer.headers], performance.now() - t);
  console.log(await gateway.events());
});
