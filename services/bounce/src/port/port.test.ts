import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import type { Bus } from "@tyto/bus";
import { startNats, type TestNats } from "@tyto/bus/testing";
import {
  type DeliveryId,
  Domain,
  defaultOrganization,
  deliveryId,
  newMessageId,
  type Payload,
  rawIdOf,
  type StoredEvent,
  suppressionKey,
} from "@tyto/contracts";
import { type DnsServer, startDns } from "@tyto/dns/testing";
import { encodeReturnPath } from "@tyto/mail";
import { silentLog } from "@tyto/service";
import { loadCertificate } from "../certificate.ts";
import { readConfig } from "../config.ts";
import { start } from "../start.ts";
import { converse } from "../testing.ts";

const dialogs = join(import.meta.dir, "../../fixtures/dialogs");
const verpKey = "a verp key of enough length";
const host = "bounces.sender.test";

const report = (recipient: string, status = "5.1.1", diagnostic = "550 5.1.1 No such user here") =>
  `Message-ID: <first@mx.remote.test>
From: MAILER-DAEMON@mx.remote.test
To: sender
Subject: Undelivered Mail
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

It did not arrive.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.remote.test

Final-Recipient: rfc822; ${recipient}
Action: failed
Status: ${status}
Diagnostic-Code: smtp; ${diagnostic}
--b--`.replaceAll("\n", "\r\n");

describe("the SMTP port", () => {
  let nats: TestNats;
  let dns: DnsServer;
  let dir: string;
  let running: Awaited<ReturnType<typeof start>>;
  let recorder: Bus;
  /** All but the `mail.received` of bounces, which stand in `bounces`. */
  const heard: StoredEvent[] = [];
  const bounces: Payload<"mail.received">[] = [];
  let wake = () => {};
  const id: DeliveryId = deliveryId(newMessageId(), 0);
  const words: Record<string, string> = {
    returnPath: encodeReturnPath(id, host, verpKey),
    forgedPath: encodeReturnPath(id, host, "another key of that length"),
    report: report("bob@remote.test"),
  };

  beforeAll(async () => {
    [nats, dns, dir] = await Promise.all([
      startNats({ users: true }),
      startDns(),
      mkdtemp(join(tmpdir(), "tyto-bounce-")),
    ]);
    recorder = await nats.connect("recorder");
    await recorder.bucket("DOMAINS").put("sender.test", {
      domain: Domain.parse("sender.test"),
      organizationId: defaultOrganization,
      returnPathHost: Domain.parse(host),
      keys: [],
      verified: true,
    });
    await recorder.consumeBatches("recorder", { batchMax: 10, waitMs: 5 }, async (batch) => {
      for (const { event } of batch)
        if (event.subject === "mail.received" && event.payload.kind === "bounce") bounces.push(event.payload);
        else heard.push(event);
      wake();
      return { kind: "done" };
    });
    const login = nats.login("bounce");
    running = await start(
      readConfig({
        NATS_URL: login.url,
        NATS_USER: login.user,
        NATS_PASSWORD: login.password,
        BOUNCE_PORT: "0",
        HEALTH_PORT: "0",
        BOUNCE_TLS_DIR: dir,
        BOUNCE_VERP_KEY: verpKey,
        BOUNCE_RECIPIENTS: "help@elsewhere.test",
        BOUNCE_MESSAGE_MB: "1",
        BOUNCE_SPOOL_DIR: join(dir, "spool"),
        MAIL_HOSTNAME: "mail.sender.test",
        TYTO_DNS_SERVERS: dns.servers.map((server) => `${server.host}:${server.port}`).join(","),
      }),
      silentLog,
    );
  });

  afterAll(async () => {
    await running?.stop();
    await nats?.stop();
    await dns?.stop();
    await rm(dir, { recursive: true, force: true });
  });

  const nextEvent = async (count: number) => {
    while (heard.length < count)
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    return heard[count - 1];
  };

  const open = () => converse(connect(running.port, "127.0.0.1"));

  test.each(readdirSync(dialogs).toSorted())("%s", async (file) => {
    const script = (await readFile(join(dialogs, file), "utf8"))
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"));
    const { say, hear } = open();
    const before = heard.length;
    for (const line of script) {
      const text = line.slice(3).replace(/\{(\w+)\}/g, (whole, word: string) => words[word] ?? whole);
      if (line.startsWith("->")) say(text);
      else if (line.startsWith("<-")) expect(await hear()).toStartWith(text);
      else if (line.startsWith("= ")) {
        const event = await nextEvent(before + 1);
        const [kind, detail] = line.slice(2).split(" ");
        expect(event?.subject).toBe(`mail.${kind}` as StoredEvent["subject"]);
        if (detail !== undefined) expect(event?.payload).toMatchObject({ kind: detail });
      }
    }
  });

  test("a report names its delivery, its reason and whose fault it is; the same one twice, or another of the same bounce, counts once", async () => {
    const before = heard.length;
    const again = deliveryId(newMessageId(), 4);
    const first = report("bob@remote.test");
    const another = first.replace("<first@mx.remote.test>", "<second@gateway.remote.test>");
    // The second one came over another server, the third one is another server's.
    for (const [times, text] of [first, first, another].entries()) {
      const { say, hear } = open();
      await hear();
      for (const line of [
        "EHLO x.test",
        "MAIL FROM:<>",
        `RCPT TO:<${encodeReturnPath(again, host, verpKey)}>`,
        "DATA",
      ]) {
        say(line);
        await hear();
      }
      say(`Received: from mx${times}.remote.test; now\r\n${text}\r\n.`);
      expect(await hear()).toStartWith("250");
    }
    const event = await nextEvent(before + 1);
    expect(event?.payload).toMatchObject({
      deliveryId: again,
      source: "dsn",
      reason: "mailbox.unknown",
      fault: "recipient",
      hard: true,
      remoteMta: "mx.remote.test",
      reply: { code: 550, enhanced: "5.1.1" },
    });
    const { say, hear } = open();
    await hear();
    for (const line of ["EHLO x.test", "MAIL FROM:<a@b.test>", "RCPT TO:<help@elsewhere.test>", "DATA"]) {
      say(line);
      await hear();
    }
    say("Subject: Next\r\n\r\nx\r\n.");
    expect(await hear()).toStartWith("250");
    // The next event shows that nothing else came of the other reports; both that differ are there to be read.
    expect((await nextEvent(before + 2))?.subject).toBe("mail.received");
    const raws = bounces
      .filter(({ deliveryId }) => deliveryId === again)
      .map(({ inboundId }) => rawIdOf(inboundId));
    expect(raws).toHaveLength(2);
    expect(raws[0]).toBe(String(event !== undefined && "rawId" in event.payload ? event.payload.rawId : ""));
    expect(Buffer.from(await recorder.raw.get(raws[1] ?? "", 1)).toString()).toContain(
      "<second@gateway.remote.test>",
    );
  });

  /** packages/mail reads all of them; here a sample shows that the way through the port changes nothing. */
  const sampledEvery = 15;
  test("known reports come through the port as their expectations say", async () => {
    const folder = join(import.meta.dir, "../../../../packages/mail/fixtures/reports");
    const { say, hear } = open();
    await hear();
    say("EHLO mx.remote.test");
    await hear();
    const files = readdirSync(folder).filter((name) => name.endsWith(".eml"));
    for (const file of files.toSorted().filter((_, index) => index % sampledEvery === 0)) {
      const expected = await Bun.file(join(folder, file.replace(".eml", ".json"))).json();
      const before = heard.length;
      const about = deliveryId(newMessageId(), 1);
      for (const line of ["MAIL FROM:<>", `RCPT TO:<${encodeReturnPath(about, host, verpKey)}>`, "DATA"]) {
        say(line);
        await hear();
      }
      const text = (await readFile(join(folder, file), "latin1")).replace(/\r?\n/g, "\r\n");
      say(`${text.replace(/^\./gm, "..")}\r\n.`);
      expect(await hear()).toStartWith("250");
      type Told = { action: string; classification?: { reason: string } };
      const isFailure = ({ action }: Told) => action === "failed";
      const failed: Told[] = expected.recipients.filter(isFailure);
      const others: Told[] = expected.recipients.filter((told: Told) => !isFailure(told));
      // One delivery bounces once, whatever number of recipients its report names.
      await nextEvent(before + others.length + Math.min(1, failed.length));
      const told = heard.slice(before).map(({ subject, payload }) => ({
        subject,
        about: "deliveryId" in payload ? payload.deliveryId : undefined,
        ...("reason" in payload ? { reason: payload.reason } : {}),
      }));
      const [only, ...more] = failed;
      const reason = more.length === 0 ? only?.classification?.reason : expect.any(String);
      expect({ file, told }).toEqual({
        file,
        told: [
          ...(only === undefined ? [] : [{ subject: "mail.bounced" as const, about, reason }]),
          ...others.map(() => ({ subject: "mail.reported" as const, about })),
        ],
      });
    }
  }, 180_000);

  test("inboxes that Convex adds are open at once, with tags and whole domains, and closed when it takes them away", async () => {
    // A session of its own each time: one that is refused too often is sent away.
    const answer = async (address: string) => {
      const { say, hear } = open();
      await hear();
      let reply = "";
      for (const line of ["EHLO x.test", "MAIL FROM:<a@b.test>", `RCPT TO:<${address}>`, "QUIT"]) {
        say(line);
        const heard = await hear();
        if (line !== "QUIT") reply = heard;
      }
      return reply.slice(0, 3);
    };
    const inboxes = recorder.bucket("INBOXES");
    const add = (pattern: string) =>
      inboxes.put(suppressionKey(pattern), { pattern, organizationId: defaultOrganization, since: 1 });
    expect(await answer("support@sender.test")).toBe("550");
    await add("support@sender.test");
    await add("*@all.test");
    while ((await answer("whoever@all.test")) !== "250") await Bun.sleep(50);
    expect(await answer("Support+order-7@Sender.test")).toBe("250");
    expect(await answer("other@sender.test")).toBe("550");
    await inboxes.delete(suppressionKey("*@all.test"));
    while ((await answer("whoever@all.test")) !== "550") await Bun.sleep(50);
  });

  test("a message for several recipients is one event for each and stored once", async () => {
    const { say, hear } = open();
    const before = heard.length;
    await hear();
    for (const line of [
      "EHLO x.test",
      "MAIL FROM:<a@b.test>",
      "RCPT TO:<help@elsewhere.test>",
      "RCPT TO:<postmaster@sender.test>",
      "DATA",
    ]) {
      say(line);
      await hear();
    }
    say("Subject: For both\r\n\r\nx\r\n.");
    expect(await hear()).toStartWith("250");
    await nextEvent(before + 2);
    const ids = heard.slice(before).map(({ payload }) => ("inboundId" in payload ? payload.inboundId : ""));
    expect(new Set(ids).size).toBe(2);
    expect(new Set(ids.map(rawIdOf)).size).toBe(1);
    expect(Buffer.from(await recorder.raw.get(rawIdOf(ids[0] ?? ""), 1)).toString()).toBe(
      "Subject: For both\r\n\r\nx\r\n",
    );
  });

  test("an endless message is refused and nothing of it stays", async () => {
    const before = heard.length;
    const { say, hear } = open();
    await hear();
    for (const line of ["EHLO x.test", "MAIL FROM:<a@b.test>", "RCPT TO:<help@elsewhere.test>", "DATA"]) {
      say(line);
      await hear();
    }
    say(`${"y".repeat(70)}\r\n`.repeat(20_000));
    say(".");
    expect(await hear()).toStartWith("552");
    expect(heard.length).toBe(before);
  });

  test.each([
    "\n.\n",
    "\n.\r\n",
    "\n.\r",
    "\r.\n",
    "\r.\r\n",
    "\r.\r",
    "\r\n.\n",
    "\r\n.\r",
    "\r\n\0.\r\n",
    "\r\r\n.\r\r\n",
  ])("%j does not end the data", async (trick) => {
    const { say, hear } = open();
    await hear();
    for (const line of ["EHLO x.test", "MAIL FROM:<a@b.test>", "RCPT TO:<help@elsewhere.test>", "DATA"]) {
      say(line);
      await hear();
    }
    const before = heard.length;
    say(
      `Subject: One\r\n\r\nfirst${trick}MAIL FROM:<eve@b.test>\r\nRCPT TO:<help@elsewhere.test>\r\nDATA\r\nSubject: Two\r\n\r\nsecond\r\n.`,
    );
    expect(await hear()).toStartWith("250");
    say("QUIT");
    expect(await hear()).toStartWith("221");
    await nextEvent(before + 1);
    expect(heard.length).toBe(before + 1);
  });

  test("STARTTLS works with the certificate made at first start, and the certificate stays", async () => {
    const plain = connect(running.port, "127.0.0.1");
    const first = converse(plain);
    await first.hear();
    first.say("EHLO x.test");
    expect(await first.hear()).toContain("STARTTLS");
    first.say("STARTTLS");
    expect(await first.hear()).toStartWith("220");
    plain.removeAllListeners("data");
    const secure = connectTls({ socket: plain, rejectUnauthorized: false });
    const second = converse(secure);
    second.say("EHLO x.test");
    expect(await second.hear()).toContain("250");
    expect(secure.getProtocol()).toMatch(/TLSv1\.[23]/);
    const before = heard.length;
    for (const [line, code] of [
      ["MAIL FROM:<>", "250"],
      [`RCPT TO:<${words.forgedPath}>`, "550 5.7.1"],
      [`RCPT TO:<${words.returnPath}>`, "250"],
      ["DATA", "354"],
      [`${report("carol@remote.test", "5.2.2", "552 5.2.2 Mailbox full")}\r\n.`, "250"],
    ] as const) {
      second.say(line);
      expect(await second.hear()).toStartWith(code);
    }
    expect((await nextEvent(before + 1))?.payload).toMatchObject({ reason: "mailbox.full", hard: false });
    secure.destroy();
    const once = await loadCertificate(dir, "mail.sender.test");
    expect(await loadCertificate(dir, "mail.sender.test")).toEqual(once);
  });
});
