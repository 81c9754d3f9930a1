/**
 * A message travels: the whole of Tyto, real NATS, real clamd, Debian's Postfix as somebody else's mail server, and
 * Chromium looking at the dashboard.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { asNodeResolve, createResolver } from "@tyto/dns";
import { type DnsServer, startDns } from "@tyto/dns/testing";
import { dkimVerify } from "mailauth/lib/dkim/verify";
import { type Installation, type Message, startInstallation } from "../parts/installation.ts";
import { missing, needs } from "../parts/missing.ts";
import { freePort } from "../parts/ports.ts";
import { type Postfix, startPostfix } from "../parts/postfix.ts";
import { until } from "../parts/until.ts";

const skip = missing("delivery flows", needs.postfix(), needs.nats(), needs.clamd());
const sender = "Ann <ann@sender.test>";
/** Events are recorded in any order: the last one may be there before the one before it. */
const is = (status: string, eventsMin: number) => (message: Message) =>
  message.status === status && message.timeline.length >= eventsMin;
const events = (message: { timeline: { event: string }[] }) => message.timeline.map((entry) => entry.event);

describe.skipIf(skip)("a message travels", () => {
  let dns: DnsServer;
  let postfix: Postfix;
  let tyto: Installation;

  beforeAll(async () => {
    dns = await startDns({});
    // Each side has to know the other's port before it starts.
    const bouncePort = await freePort();
    postfix = await startPostfix({
      mailboxes: ["bob@good.test", "cc@good.test", "bcc@good.test", "files@good.test", "grey@grey.test"],
      greylisted: ["grey.test"],
      failingLate: ["late.test"],
      routes: { "bounces.sender.test": `127.0.0.1:${bouncePort}` },
    });
    tyto = await startInstallation({
      dnsServers: dns.servers.map(({ host, port }) => `${host}:${port}`).join(","),
      routes: { "*": postfix.address },
      env: { RETRY_FIRST_S: "1", BOUNCE_PORT: String(bouncePort) },
    });
    await tyto.addDomain("sender.test");
    const view = (await (await tyto.call("GET", "/v1/domains/sender.test")).json()) as {
      records: { type: string; name: string; value: string }[];
    };
    for (const record of view.records)
      if (record.type === "TXT") dns.set(record.name.replace(/\.$/, ""), { TXT: [record.value] });
  }, 300_000);

  afterAll(async () => {
    await tyto?.stop();
    await postfix?.stop();
    await dns?.stop();
  }, 300_000);

  /** Postfix has answered for a mail a moment before that lies in the mailbox. */
  const mailsOf = (address: string, count: number) =>
    until(`${count} lie in the mailbox of ${address}`, async () => {
      const mails = await postfix.mailbox(address);
      return mails.length >= count ? mails : undefined;
    });

  test("delivered mail lies in a real mailbox and its signatures verify", async () => {
    const id = await tyto.send({
      from: sender,
      to: "Bob <bob@good.test>",
      cc: "cc@good.test",
      bcc: "bcc@good.test",
      subject: "Grüße aus dem Wald",
      text: "Plain.\n.\n..dots\n",
      html: "<p>Plain. <b>Bold.</b></p>",
      headers: { "X-Campaign": "spring" },
    });
    const message = await tyto.message(id, is("delivered", 4));
    expect(message.recipients.map(({ status }) => status)).toEqual(["delivered", "delivered", "delivered"]);
    expect(events(message)[0]).toBe("mail.accepted");
    const [raw] = await mailsOf("bob@good.test", 1);
    expect(raw).toContain("X-Campaign: spring");
    expect(raw?.toLowerCase()).not.toContain("bcc@good.test");
    expect(raw).toMatch(/^Return-Path: <b-[0-9a-z-]+@bounces\.sender\.test>/m);
    const resolver = asNodeResolve(createResolver({ servers: dns.servers }));
    const { results } = await dkimVerify(Buffer.from(raw ?? "", "latin1"), { resolver: resolver as never });
    expect(
      results.map((result) => `${result.signingDomain} ${result.algo} ${result.status.result}`).toSorted(),
    ).toEqual(["sender.test ed25519-sha256 pass", "sender.test rsa-sha256 pass"]);
    for (const copy of ["cc@good.test", "bcc@good.test"]) expect(await mailsOf(copy, 1)).toHaveLength(1);
  }, 300_000);

  test("an unknown user's 550 is a bounce within seconds and suppresses the address", async () => {
    const id = await tyto.send({ from: sender, to: "nobody@good.test", subject: "Hello", text: "x" });
    const message = await tyto.message(id, (it) => it.status === "bounced");
    expect(message.recipients[0]).toMatchObject({ reason: "mailbox.unknown", attempts: 1 });
    expect(message.recipients[0]?.reply).toContain("5.1.1");
    const answer = await until("the address is suppressed", async () => {
      const again = await tyto.call("POST", "/v1/emails", {
        from: sender,
        to: "nobody@good.test",
        subject: "Hi",
        text: "x",
      });
      return again.status === 422 ? again : undefined;
    });
    expect(await answer.json()).toMatchObject({ code: "recipient.suppressed" });
  }, 300_000);

  test("Postfix's own report of a late failure reaches our port and suppresses", async () => {
    const id = await tyto.send({ from: sender, to: "gone@late.test", subject: "Hello", text: "x" });
    const message = await tyto.message(id, is("bounced", 3));
    expect(events(message)).toContain("mail.delivered");
    expect(message.status).toBe("bounced");
    await until("the address is suppressed", async () => {
      const list = (await (await tyto.call("GET", "/v1/suppressions")).json()) as {
        data: { address: string }[];
      };
      return list.data.some(({ address }) => address === "gone@late.test");
    });
  }, 300_000);

  test("a message with the EICAR file is refused, and one with a harmless file arrives", async () => {
    const eicar = ["X5O!P%@AP[4\\PZX54(P^)7CC)7}$", "EICAR-STANDARD-ANTIVIRUS-TEST-FILE", "!$H+H*"].join("");
    const attach = (text: string) => [
      { filename: "file.txt", content: btoa(text), content_type: "text/plain" },
    ];
    const bad = await tyto.send({
      from: sender,
      to: "files@good.test",
      subject: "Bad",
      text: "x",
      attachments: attach(eicar),
    });
    const good = await tyto.send({
      from: sender,
      to: "files@good.test",
      subject: "Good",
      text: "x",
      attachments: attach("hello"),
    });
    expect(events(await tyto.message(bad, is("refused", 2)))).toEqual(["mail.submitted", "mail.refused"]);
    expect(events(await tyto.message(good, is("delivered", 3)))).toEqual([
      "mail.submitted",
      "mail.scanned",
      "mail.delivered",
    ]);
    const mails = await mailsOf("files@good.test", 1);
    expect(mails).toHaveLength(1);
    expect(mails[0]).toContain("Subject: Good");
  }, 300_000);

  test("a greylisted mail is delivered on retry", async () => {
    const id = await tyto.send({ from: sender, to: "grey@grey.test", subject: "Again", text: "x" });
    const message = await tyto.message(id, is("delivered", 3));
    expect(events(message)).toEqual(["mail.accepted", "mail.deferred", "mail.delivered"]);
    expect(message.recipients[0]?.attempts).toBe(2);
    expect(await mailsOf("grey@grey.test", 1)).toHaveLength(1);
  }, 300_000);

  test("the same Idempotency-Key twice is one mail; another body is a conflict", async () => {
    const mail = { from: sender, to: "cc@good.test", subject: "Once", text: "x" };
    const before = (await postfix.mailbox("cc@good.test")).length;
    const headers = { "idempotency-key": "order-1" };
    const first = await tyto.send(mail, headers);
    expect(await tyto.send(mail, headers)).toBe(first);
    const other = await tyto.call("POST", "/v1/emails", { ...mail, subject: "Other" }, headers);
    expect(other.status).toBe(409);
    await tyto.message(first, (it) => it.status === "delivered");
    expect(await mailsOf("cc@good.test", before + 1)).toHaveLength(before + 1);
  }, 300_000);

  test("a scheduled mail can be cancelled and is never sent; one that is not cancelled leaves at its time", async () => {
    const soon = new Date(Date.now() + 5_000).toISOString();
    const far = new Date(Date.now() + 3_600_000).toISOString();
    const mail = { from: sender, to: "cc@good.test", text: "x" };
    const kept = await tyto.send({ ...mail, subject: "Later", scheduled_at: soon });
    const dropped = await tyto.send({ ...mail, subject: "Never", scheduled_at: far });
    expect((await tyto.call("POST", `/v1/emails/${dropped}/cancel`)).status).toBe(200);
    await tyto.message(dropped, (it) => it.status === "cancelled");
    await tyto.message(kept, (it) => it.status === "delivered");
    expect((await tyto.call("POST", `/v1/emails/${kept}/cancel`)).status).toBe(409);
    expect((await postfix.mailbox("cc@good.test")).some((mailText) => mailText.includes("Never"))).toBe(
      false,
    );
  }, 300_000);

  test("everything is still there after a clean stop and a second start", async () => {
    const id = await tyto.send({ from: sender, to: "bob@good.test", subject: "Before", text: "x" });
    await tyto.message(id, (it) => it.status === "delivered");
    await tyto.restart();
    expect((await tyto.message(id)).status).toBe("delivered");
    const after = await tyto.send({ from: sender, to: "bob@good.test", subject: "After", text: "x" });
    await tyto.message(after, (it) => it.status === "delivered");
  }, 300_000);
});
