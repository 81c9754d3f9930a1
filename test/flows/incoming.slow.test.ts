/**
 * What comes in besides bounces, through the real port, NATS and the recorder to Convex, as the pages read it: our mail goes
 * to Debian's Postfix, and what it received comes back as a complaint, a wish, an answer; reports come from nobody in
 * particular.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { api } from "@tyto/convex/api";
import { asNodeResolve, createResolver } from "@tyto/dns";
import { type DnsServer, startDns } from "@tyto/dns/testing";
import { ConvexHttpClient } from "convex/browser";
import { dkimVerify } from "mailauth/lib/dkim/verify";
import { complaintAbout } from "../parts/complaint.ts";
import { type Installation, startInstallation } from "../parts/installation.ts";
import { missing, needs } from "../parts/missing.ts";
import { type Postfix, startPostfix } from "../parts/postfix.ts";
import { deliver } from "../parts/smtp-client.ts";
import { until } from "../parts/until.ts";

const skip = missing("incoming flows", needs.postfix(), needs.nats(), needs.clamd());
const sender = "Shop <shop@sender.test>";
const people = ["ann", "bob", "cleo", "dora", "emil"].map((name) => `${name}@good.test`);
const [ann = "", bob = "", cleo = "", dora = "", emil = ""] = people;
const reports = `${import.meta.dir}/../../packages/mail/fixtures/reports`;
const firstPage = { numItems: 20, cursor: null };

describe.skipIf(skip)("what comes in", () => {
  let dns: DnsServer;
  let postfix: Postfix;
  let tyto: Installation;
  /** As a signed-in person's browser. */
  let page: ConvexHttpClient;

  beforeAll(async () => {
    dns = await startDns({});
    postfix = await startPostfix({ mailboxes: people });
    tyto = await startInstallation({
      dnsServers: dns.servers.map(({ host, port }) => `${host}:${port}`).join(","),
      routes: { "*": postfix.address },
      env: { SITE_URL: "https://mail.sender.test" },
    });
    await tyto.addDomain("sender.test");
    const view = (await (await tyto.call("GET", "/v1/domains/sender.test")).json()) as {
      records: { type: string; name: string; value: string }[];
    };
    for (const record of view.records)
      if (record.type === "TXT")
        dns.set(record.name.replace(/\.$/, ""), {
          TXT: [record.value],
          MX: [{ preference: 10, exchange: "mail.tyto.test" }],
        });
    await tyto.call("POST", "/v1/domains/sender.test/check");
    page = await signedIn(tyto);
  }, 300_000);

  afterAll(async () => {
    await tyto?.stop();
    await postfix?.stop();
    await dns?.stop();
  }, 300_000);

  /** Sends a message and gives what lies in the mailbox. */
  async function received(to: string, more: object = {}): Promise<{ id: string; raw: string }> {
    const id = await tyto.send({ from: sender, to, subject: "News", text: "Hello.", ...more });
    const raw = await until(`the mail lies in the mailbox of ${to}`, async () =>
      (await postfix.mailbox(to)).find((mail) => mail.includes(id)),
    );
    return { id, raw };
  }
  const field = (raw: string, name: string) =>
    new RegExp(`^${name}:((?:.*\\r?\\n[ \\t])*.*)`, "mi").exec(raw)?.[1]?.replace(/\s+/g, " ").trim() ?? "";
  const suppressed = (address: string) =>
    until(`${address} is suppressed`, async () => {
      const list = (await (await tyto.call("GET", "/v1/suppressions")).json()) as {
        data: { address: string; cause: string }[];
      };
      return list.data.find((row) => row.address === address)?.cause;
    });

  /** The message as it came, by the id that a row names. */
  const source = async (inboundId: string) =>
    await (await fetch((await page.query(api.inbound.get, { inboundId }))?.rawUrl ?? "")).text();

  test("a complaint about our mail suppresses its recipient and stands on the page with the report", async () => {
    const { id, raw } = await received(ann, { unsubscribe: true });
    const resolver = asNodeResolve(createResolver({ servers: dns.servers }));
    const { results } = await dkimVerify(Buffer.from(raw, "latin1"), { resolver: resolver as never });
    expect(results.map(({ status }) => status.result)).toEqual(["pass", "pass"]);
    for (const result of results)
      expect(result.signingHeaders?.keys).toMatch(/list-unsubscribe-post.*cfbl-address/is);
    const [to = ""] = field(raw, "CFBL-Address").split(";");
    expect(
      await deliver(tyto.bouncePort, { from: "fbl@provider.test", to }, complaintAbout(raw, to)),
    ).toMatch(/^250/);
    expect(await suppressed(ann)).toBe("complaint");
    const row = await until("the complaint is on the page", async () =>
      (await page.query(api.complaints.list, { paginationOpts: firstPage })).page.find(
        ({ messageId, rawId }) => messageId === id && rawId !== undefined,
      ),
    );
    expect(row).toMatchObject({ recipient: ann, reason: "abuse", domain: "sender.test", subject: "News" });
    expect(await source(row.rawId ?? "")).toContain("Feedback-Type: abuse");
    // The gateway hears of it by way of the recorder.
    await until("no mail to her is taken", async () => {
      const again = await tyto.call("POST", "/v1/emails", { from: sender, to: ann, subject: "x", text: "x" });
      return again.status === 422;
    });
  }, 300_000);

  test("reports of one delivery are one bounce, which suppresses as soon as one of them is sure", async () => {
    const { id, raw } = await received(emil);
    const to = field(raw, "Return-Path").replace(/[<>]/g, "");
    const report = async (file: string) =>
      await deliver(tyto.bouncePort, { from: "", to }, await Bun.file(`${reports}/${file}`).bytes());
    /** What the pages show once so many bounces stand on the timeline. */
    const shown = async (bounces: number) => {
      const message = await tyto.message(
        id,
        ({ timeline }) => timeline.filter(({ event }) => event === "mail.bounced").length === bounces,
      );
      const { page: rows } = await page.query(api.bounces.list, { paginationOpts: firstPage });
      const hour = { sinceMs: Date.now() - 3_600_000, by: "reason" as const };
      const { total, hard } = await page.query(api.bounces.overTime, hour);
      const list = await (await tyto.call("GET", "/v1/suppressions")).text();
      return {
        status: message.status,
        rows: rows.filter(({ messageId }) => messageId === id).map(({ reason, hard }) => [reason, hard]),
        counts: [total, hard],
        isSuppressed: list.includes(emil),
      };
    };
    const before = { status: "bounced", isSuppressed: false };
    await report("postfix-mailbox-full.eml");
    expect(await shown(1)).toEqual({ ...before, rows: [["mailbox.full", false]], counts: [1, 0] });
    await report("haraka-ms-nouser.eml");
    expect(await shown(2)).toEqual({ ...before, rows: [["mailbox.unknown", true]], counts: [1, 1] });
    await report("postfix-gmail.eml");
    await report("postfix-bare.eml");
    const after = { ...before, rows: [["mailbox.unknown", true]], counts: [1, 1], isSuppressed: true };
    expect(await suppressed(emil)).toBe("bounce");
    expect(await shown(4)).toEqual(after);
  }, 300_000);

  test("one click on List-Unsubscribe suppresses, and so does mail to its address", async () => {
    const { raw } = await received(bob, { unsubscribe: true });
    const link = /<https:\/\/mail\.sender\.test(\/u\/[^>]+)>/.exec(field(raw, "List-Unsubscribe"))?.[1] ?? "";
    expect(field(raw, "List-Unsubscribe-Post")).toBe("List-Unsubscribe=One-Click");
    expect((await fetch(`${tyto.apiUrl}${link}`)).status).toBe(200);
    const body = new URLSearchParams({ "List-Unsubscribe": "One-Click" });
    const answer = await fetch(`${tyto.apiUrl}${link}`, { method: "POST", body, redirect: "error" });
    expect(answer.status).toBe(200);
    expect(await suppressed(bob)).toBe("unsubscribe");

    const other = await received(cleo, { unsubscribe: true });
    const to = /<mailto:([^>?]+)/.exec(field(other.raw, "List-Unsubscribe"))?.[1] ?? "";
    await deliver(tyto.bouncePort, { from: cleo, to }, `From: ${cleo}\nTo: ${to}\nSubject: unsubscribe\n\n`);
    expect(await suppressed(cleo)).toBe("unsubscribe");
    const list = await until("both are on the page", async () => {
      const found = await page.query(api.unsubscribes.list, { paginationOpts: firstPage });
      return found.page.length >= 2 ? found : undefined;
    });
    expect(list.page.map(({ recipient, reason }) => `${recipient} ${reason}`).sort()).toEqual([
      `${bob} one-click`,
      `${cleo} mailto`,
    ]);
  }, 300_000);

  test("an answer at an inbox is found by its Message-ID, and its text has no quotation", async () => {
    const { id, raw } = await received(dora);
    const to = "support@sender.test";
    const refused = deliver(tyto.bouncePort, { from: dora, to }, "Subject: too early\n\nx");
    await expect(refused).rejects.toThrow(/550/);
    expect((await tyto.call("POST", "/v1/inboxes", { pattern: to })).status).toBe(201);
    const answer = [
      `From: Dora <${dora}>`,
      `To: ${to}`,
      "Subject: Re: News",
      `Message-ID: <answer@good.test>`,
      `In-Reply-To: ${field(raw, "Message-ID")}`,
      "Content-Type: text/plain; charset=utf-8",
      "",
      "Send me more of it.",
      "",
      "On Mon, Jan 5, 2026 at 1:00 PM Shop <shop@sender.test> wrote:",
      "> Hello.",
      "",
    ].join("\n");
    await until("the inbox is taken for", () =>
      deliver(tyto.bouncePort, { from: dora, to }, answer).then(
        (reply) => reply.startsWith("250"),
        () => false,
      ),
    );
    const row = await until("the answer is on the page", async () =>
      (await page.query(api.replies.list, { messageId: id, paginationOpts: firstPage })).page.at(0),
    );
    expect(row).toMatchObject({ text: "Send me more of it.", envelopeTo: to, subject: "Re: News" });
    const message = await tyto.message(id, (it) => it.timeline.some(({ event }) => event === "mail.replied"));
    expect(message.status).toBe("delivered");
  }, 300_000);

  test("a DMARC report counts once, and what cannot be read is kept with its reason and the message", async () => {
    const to = "dmarc@bounces.sender.test";
    const nowS = Math.floor(Date.now() / 1_000);
    const good = gzipSync(dmarcReport(nowS));
    for (const attempt of [1, 2])
      await deliver(tyto.bouncePort, { from: "d@provider.test", to }, reportMail(to, good, attempt, nowS));
    await deliver(
      tyto.bouncePort,
      { from: "d@provider.test", to },
      reportMail(to, good.subarray(0, 60), 3, nowS),
    );
    const since = { domain: "sender.test", sinceMs: Date.now() - 7 * 86_400_000 };
    const reportsSeen = async () => {
      const kinds = await page.query(api.inbound.overTime, { sinceMs: since.sinceMs, by: "reason" });
      return kinds.groups.find(({ key }) => key === "dmarc-report")?.count ?? 0;
    };
    await until("both copies of the report are counted as mail", async () => (await reportsSeen()) >= 2);
    const { sources } = await page.query(api.dmarc.sources, since);
    const row = await until("what was not understood is on the page", async () =>
      (await page.query(api.inbound.list, { kind: "unclear", paginationOpts: firstPage })).page.find(
        ({ rawUrl }) => rawUrl !== undefined,
      ),
    );
    expect(row.why).toContain("a DMARC report whose file is damaged");
    expect(await (await fetch(row.rawUrl ?? "")).text()).toContain("Report Domain: sender.test");
    expect(sources).toMatchObject([{ sourceIp: "192.0.2.10", messages: 5, passed: 5 }]);
    expect(await reportsSeen()).toBe(2);
    expect(await page.query(api.dmarc.days, since)).toMatchObject([{ messages: 5, passed: 5 }]);
  }, 300_000);
});

async function signedIn(tyto: Installation): Promise<ConvexHttpClient> {
  const person = { name: "Ada", email: "ada@sender.test", password: "a password of the tests" };
  const answer = await fetch(`${tyto.apiUrl}/api/setup`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(person),
  });
  const cookie = answer.headers.getSetCookie().map((each) => each.split(";", 1)[0]);
  const token = await fetch(`${tyto.apiUrl}/api/token`, { headers: { cookie: cookie.join("; ") } });
  const client = new ConvexHttpClient(`http://127.0.0.1:${tyto.port("CONVEX_PORT")}`, { logger: false });
  client.setAuth(((await token.json()) as { token: string }).token);
  return client;
}

const dmarcReport = (nowS: number) => `<?xml version="1.0"?>
<feedback><report_metadata><org_name>Provider</org_name><email>d@provider.test</email><report_id>r-1</report_id>
<date_range><begin>${nowS - 86_400}</begin><end>${nowS - 60}</end></date_range></report_metadata>
<policy_published><domain>sender.test</domain><p>none</p></policy_published>
<record><row><source_ip>192.0.2.10</source_ip><count>5</count><policy_evaluated><disposition>none</disposition>
<dkim>pass</dkim><spf>pass</spf></policy_evaluated></row><identifiers><header_from>sender.test</header_from></identifiers>
<auth_results><dkim><domain>sender.test</domain><result>pass</result></dkim></auth_results></record></feedback>`;

const reportMail = (to: string, file: Uint8Array, number: number, nowS: number) =>
  [
    "From: d@provider.test",
    `To: ${to}`,
    `Message-ID: <${number}@provider.test>`,
    "Subject: Report Domain: sender.test Submitter: provider.test Report-ID: r-1",
    "MIME-Version: 1.0",
    `Content-Type: application/gzip; name="provider.test!sender.test!${nowS - 86_400}!${nowS - 60}.xml.gz"`,
    "Content-Transfer-Encoding: base64",
    "",
    Buffer.from(file).toString("base64").replace(/.{76}/g, "$&\n"),
    "",
  ].join("\n");
