import { afterAll, beforeAll, expect, test } from "bun:test";
import { deliveryId, newMessageId } from "@tyto/contracts";
import { encodeToken } from "@tyto/mail";
import { startTestGateway, type TestGateway, verpKey } from "../testing.ts";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway({ users: true });
});
afterAll(() => gateway.stop());

const newDelivery = () => deliveryId(newMessageId(gateway.clock.now), 3);
const tokenOf = (id: ReturnType<typeof newDelivery>) => encodeToken("unsubscribe", id, verpKey);
const told = async (id: string) =>
  (await gateway.events()).filter(
    ({ subject, payload }) => subject === "mail.unsubscribed" && payload.deliveryId === id,
  );

test("the one-click request of RFC 8058 unsubscribes, without cookies and without a redirect", async () => {
  const id = newDelivery();
  for (const init of [
    {
      body: "List-Unsubscribe=One-Click",
      headers: { "content-type": "application/x-www-form-urlencoded" },
    },
    { body: formData("List-Unsubscribe", "One-Click") },
  ]) {
    const answer = await gateway.request(`/u/${tokenOf(id)}`, { method: "POST", ...init });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("set-cookie")).toBeNull();
  }
  // Twice, and one event.
  expect(await told(id)).toMatchObject([
    { payload: { id: `${id}.unsubscribed`, method: "one-click", messageId: id.slice(0, 26) } },
  ]);
});

test("opening the link shows a page that asks, and changes nothing", async () => {
  const id = newDelivery();
  const answer = await gateway.request(`/u/${tokenOf(id)}`);
  expect(answer.status).toBe(200);
  const page = await answer.text();
  expect(page).toContain('<form method="post">');
  expect(page).not.toContain("<script");
  expect(page).not.toContain(id);
  expect(answer.headers.get("content-security-policy")).toContain("default-src 'none'");
  expect(answer.headers.get("cache-control")).toBe("no-store");
  await gateway.request(`/u/${tokenOf(id)}`, { method: "HEAD" });
  expect(await told(id)).toEqual([]);
});

test("the page's button unsubscribes, and says so in the reader's language", async () => {
  const id = newDelivery();
  const answer = await gateway.request(`/u/${tokenOf(id)}`, {
    method: "POST",
    body: new URLSearchParams({ confirm: "yes" }),
    headers: { "accept-language": "de-AT,de;q=0.9,en;q=0.5" },
  });
  expect(await answer.text()).toContain("Sie sind abgemeldet");
  expect(answer.headers.get("content-language")).toBe("de");
  expect(await told(id)).toMatchObject([{ payload: { method: "link" } }]);
});

test("a token that we did not make unsubscribes nobody", async () => {
  const id = newDelivery();
  const good = tokenOf(id);
  const wrong = `${good.slice(0, -1)}${good.endsWith("a") ? "b" : "a"}`;
  for (const token of [wrong, encodeToken("feedback", id, verpKey), "x", "%00", `${good}x`])
    for (const method of ["GET", "POST"])
      expect((await gateway.request(`/u/${token}`, { method })).status).toBe(404);
  expect(await told(id)).toEqual([]);
});

test("other methods and large bodies are refused", async () => {
  const id = newDelivery();
  const path = `/u/${tokenOf(id)}`;
  expect((await gateway.request(path, { method: "DELETE" })).status).toBe(405);
  expect((await gateway.request(path, { method: "POST", body: "x".repeat(10_000) })).status).toBe(413);
  expect(await told(id)).toEqual([]);
});

function formData(name: string, value: string): FormData {
  const form = new FormData();
  form.append(name, value);
  return form;
}
