/** Bulk mail and the rules of the large receivers, through the API. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { BatchAnswer, ProblemView, SendAnswer } from "@tyto/contracts";
import type { z } from "zod";
import { returnPathHostOf } from "../dns-records.ts";
import { startTestGateway, type TestGateway } from "../testing.ts";

type Problem = z.infer<typeof ProblemView>;

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startTestGateway({ config: { siteUrl: "https://tyto.test" } });
  await gateway.addDomain("ready.example", { unpublished: [] });
  await gateway.addDomain("bare.example", { unpublished: ["spf", "dmarc"], verified: false });
  await gateway.addDomain("new.example", { verified: false });
});
afterAll(() => gateway.stop());

const mail = (domain: string, more: object = {}) => ({
  from: `ann@${domain}`,
  to: "bob@example.org",
  subject: "News",
  text: "x",
  ...more,
});
const send = (domain: string, more: object, headers?: Record<string, string>) =>
  gateway.call("POST", "/v1/emails", mail(domain, more), headers);
const problemsOf = async (answer: Response) => {
  expect(answer.status).toBe(422);
  const problem = (await answer.json()) as Problem;
  expect(problem.code).toBe("bulk.refused");
  return (problem.errors ?? []).map(({ path, problem: words }) => `${path}: ${words}`);
};

test("202 where every rule is kept, and where nobody has looked at DNS yet, with a warning", async () => {
  expect((await send("ready.example", { unsubscribe: true })).status).toBe(202);
  const answer = await send("new.example", { unsubscribe: true });
  expect(answer.status).toBe(202);
  expect(((await answer.json()) as SendAnswer).warnings).toHaveLength(1);
});

test("202 for transactional mail of a domain without records, with today's warning", async () => {
  const answer = await send("bare.example", {});
  expect(answer.status).toBe(202);
  expect(((await answer.json()) as SendAnswer).warnings).toEqual([
    expect.stringContaining("not all published yet"),
  ]);
});

test("422 names every rule that is broken and its fix, and nothing is stored", async () => {
  const before = (await gateway.events()).length;
  expect(await problemsOf(await send("bare.example", { traffic: "bulk" }))).toEqual([
    expect.stringMatching(/^from: .*SPF.*POST \/v1\/domains\/bare\.example\/check/),
    expect.stringMatching(/^from: .*DMARC/),
    expect.stringMatching(/^unsubscribe: .*"unsubscribe": true/),
  ]);
  expect((await gateway.events()).length).toBe(before);
});

test("a batch refuses the items that break a rule and takes the others; a repeat says the same", async () => {
  const items = [
    mail("ready.example", { unsubscribe: true }),
    mail("ready.example", { traffic: "bulk" }),
    mail("bare.example", { unsubscribe: true }),
    mail("bare.example"),
  ];
  const key = { "idempotency-key": "a bulk batch" };
  const answer = (await (await gateway.call("POST", "/v1/emails/batch", items, key)).json()) as BatchAnswer;
  expect(answer).toMatchObject({ accepted: 2, failed: 2 });
  expect(answer.results[1]).toMatchObject({
    index: 1,
    status: "failed",
    error: { code: "bulk.refused", status: 422, errors: [{ path: "unsubscribe" }] },
  });
  expect(answer.results[2]).toMatchObject({ error: { errors: [{ path: "from" }, { path: "from" }] } });
  await gateway.addDomain("bare.example", { unpublished: [] });
  expect(await (await gateway.call("POST", "/v1/emails/batch", items, key)).json()).toEqual(answer);
  expect((await send("bare.example", { unsubscribe: true })).status).toBe(202);
});

test("signature and return path are aligned with From by construction, whatever the domain (RFC 9989 §4.4)", async () => {
  for (const name of ["ready.example", "news.shop.co.uk"]) {
    await gateway.addDomain(name, { unpublished: [] });
    expect((await send(name, { unsubscribe: true })).status).toBe(202);
    const event = (await gateway.events()).findLast(({ subject }) => subject === "mail.accepted");
    if (event?.subject !== "mail.accepted") throw new Error("no event");
    const { domain, from } = event.payload;
    expect(String(domain)).toBe(from.split("@")[1] ?? "");
    expect(returnPathHostOf(domain).endsWith(`.${domain}`)).toBe(true);
  }
});

test("a policy of the domain above counts as DMARC (RFC 9989 §4.10)", async () => {
  const other = await startTestGateway({ makesKeys: true });
  try {
    await other.call("POST", "/v1/domains", { domain: "news.shop.example" });
    const dmarc = async () => {
      other.clock.now += 1;
      const { records } = (await (
        await other.call("POST", "/v1/domains/news.shop.example/check")
      ).json()) as { records: { purpose: string; state: string }[] };
      return records.find(({ purpose }) => purpose === "dmarc")?.state;
    };
    expect(await dmarc()).toBe("missing");
    other.dns.set("_dmarc.shop.example", { TXT: ["v=DMARC1; p=quarantine"] });
    expect(await dmarc()).toBe("found");
    expect((await other.domainRecord("news.shop.example"))?.unpublished).toEqual([
      "dkim",
      "spf",
      "return-path",
    ]);
  } finally {
    await other.stop();
  }
});

test("an installation that nobody else reaches warns instead", async () => {
  const trial = await startTestGateway({ config: { siteUrl: "http://localhost:3000", bulkRules: "warn" } });
  try {
    await trial.addDomain("bare.example", { unpublished: ["dkim"], verified: false });
    const answer = await trial.call("POST", "/v1/emails", mail("bare.example", { unsubscribe: true }));
    expect(answer.status).toBe(202);
    expect(((await answer.json()) as SendAnswer).warnings).toEqual([
      expect.stringContaining("not all published yet"),
      expect.stringContaining("DKIM keys"),
      expect.stringContaining("not https"),
    ]);
  } finally {
    await trial.stop();
  }
});
