import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { deliveryId, events, newMessageId, Origin, type StoredEvent } from "@tyto/contracts";
import { decodeOwnAddress, encodeOwnAddress, encodeReturnPath, readMessage } from "@tyto/mail";
import { consequences } from "./consequences.ts";

const fixtures = join(import.meta.dir, "../../../packages/mail/fixtures");
/** The installation that the cases of packages/mail speak of. */
const verpKey = "a key of the case files, never used elsewhere";
const authentication = { spf: "pass", dkim: "none", dmarc: "none", arc: "none" };
const id = deliveryId(newMessageId(), 0);

function judge(text: string | Uint8Array, envelope: { from: string; to: string }, identity = "i1") {
  return consequences(readMessage(typeof text === "string" ? new TextEncoder().encode(text) : text), {
    envelopeFrom: envelope.from,
    envelopeTo: envelope.to,
    ...decodeOwnAddress(envelope.to, verpKey),
    verpKey,
    isOwnDomain: (domain) => domain === "example.com",
    nowMs: Date.UTC(2026, 0, 6),
    identity,
    authentication,
  });
}
const problemsOf = (stored: readonly StoredEvent[]) =>
  stored.flatMap(({ subject, payload }) => {
    const result = events[subject].safeParse(payload);
    return result.success
      ? []
      : [`${subject}: ${result.error.issues[0]?.path.join(".")} ${result.error.issues[0]?.message}`];
  });

const folders = [
  "auto-replies",
  "challenges",
  "complaints",
  "dmarc",
  "mail",
  "replies-by-people",
  "tls",
  "unclear",
  "unsubscribes",
];

test.each(folders)(
  "every case of %s becomes its kind, and events that keep their contracts",
  async (folder) => {
    const files = readdirSync(join(fixtures, folder)).filter((name) => name.endsWith(".eml"));
    expect(files.length).toBeGreaterThan(0);
    for (const file of files) {
      const path = join(fixtures, folder, file);
      const expected = await Bun.file(path.replace(/\.eml$/, ".json")).json();

      const { kind, why, events: stored } = judge(await Bun.file(path).bytes(), expected.envelope);
      expect({ file, kind }).toEqual({ file, kind: expected.understood.kind });
      expect(why).not.toBe("");
      expect({ file, problems: problemsOf(stored) }).toEqual({ file, problems: [] });
      expect(new Set(stored.map(({ payload }) => payload.id)).size).toBe(stored.length);
    }
  },
);

const report = (headers: string, status = "5.1.1", action = "failed") =>
  `${headers}Message-ID: <r1@mx.test>\r\nFrom: MAILER-DAEMON@mx.test\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.test\r\n\r\nFinal-Recipient: rfc822; ann@x.test\r\nAction: ${action}\r\nStatus: ${status}\r\nDiagnostic-Code: smtp; 550 5.1.1 No such user\r\n--b--\r\n`;
const idsOf = (text: string, identity?: string) =>
  judge(text, { from: "", to: encodeReturnPath(id, "bounces.example.com", verpKey) }, identity).events.map(
    ({ payload }) => payload.id,
  );

test("a delivery bounces once, whichever server tells of it and however often", () => {
  const first = idsOf(report("Received: from a; now\r\n"), "i1");
  expect(first).toHaveLength(1);
  expect(idsOf(report("Received: from b; later\r\nX-Spam: no\r\n"), "i2")).toEqual(first);
  const another = report("").replace("<r1@", "<r2@");
  expect(idsOf(another, "i3")).toEqual(first);
  expect(idsOf(another.replace("ann@x.test", "alias@y.test"), "i4")).toEqual(first);
  expect(idsOf(report("", "5.1.2").replace("550 5.1.1 No such user", "550 5.1.2 Bad domain"))).toEqual(first);
});

test("only a report that says more than those before is news: of a delivery there are four bounces at most", async () => {
  const to = encodeReturnPath(id, "bounces.example.com", verpKey);
  const told = async (name: string) => {
    const { events: stored } = judge(await Bun.file(join(fixtures, "reports", name)).bytes(), {
      from: "",
      to,
    });
    return stored.map(({ payload }) => payload.id.slice(id.length + 1));
  };
  expect(await told("postfix-bare.eml")).toEqual(["soft.guess.bounced"]);
  expect(await told("postfix-mailbox-full.eml")).toEqual(["soft.sure.bounced"]);
  expect(await told("haraka-ms-nouser.eml")).toEqual(["hard.guess.bounced"]);
  expect(await told("postfix-gmail.eml")).toEqual(["hard.sure.bounced"]);
  expect(await told("postfix-french.eml")).toEqual(["hard.sure.bounced"]);
  expect(await told("postfix-two-recipients.eml")).toEqual(["hard.sure.bounced"]);
  expect(await told("postfix-maint-delayed.eml")).toEqual([expect.stringMatching(/^[0-9a-f]+\.reported$/)]);
});

test("a hard bounce after a soft one is news, and so are delays: each report of one, once", () => {
  const soft = report("", "5.2.2").replace("550 5.1.1 No such user", "552 5.2.2 Mailbox full");
  const delay = report("", "4.4.1", "delayed");
  const ids = [soft, report(""), delay, delay.replace("<r1@", "<r2@")].flatMap((text) => idsOf(text));
  expect(new Set(ids).size).toBe(4);
  expect(idsOf(delay, "i2")).toEqual(idsOf(delay, "i1"));
});

test("a report that names many recipients is one bounce of its delivery, the hard one", () => {
  const group = (name: string, status: string, words: string) =>
    `\r\nFinal-Recipient: rfc822; ${name}@x.test\r\nAction: failed\r\nStatus: ${status}\r\nDiagnostic-Code: smtp; ${words}\r\n`;
  const more = [
    group("bob", "5.2.2", "552 5.2.2 Mailbox full"),
    group("carol", "5.1.1", "550 5.1.1 No such user"),
    group("dave", "5.1.1", "550 5.1.1 No such user"),
  ];
  const many = report("", "5.7.1")
    .replace("550 5.1.1 No such user", "550 5.7.1 Refused")
    .replace("--b--", `${more.join("")}--b--`);
  const { events: stored } = judge(many, {
    from: "",
    to: encodeReturnPath(id, "bounces.example.com", verpKey),
  });
  expect(stored).toMatchObject([
    {
      subject: "mail.bounced",
      payload: { recipient: "carol@x.test", reason: "mailbox.unknown", hard: true },
    },
  ]);
});

test("a recipient complains once of a delivery, whoever passes it on; of a message each report may be another's", () => {
  const complaint = (source: string, marks: string, type = "abuse") =>
    `Message-ID: <${source}@fbl.test>\r\nFrom: fbl@yahoo.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: ${type}\r\nVersion: 1\r\n${marks}--b--\r\n`;
  const idsAt = (to: string, text: string) =>
    judge(text, { from: "", to }).events.map(({ subject, payload }) => `${subject} ${payload.id}`);
  const path = encodeReturnPath(id, "bounces.example.com", verpKey);
  const feedback = encodeOwnAddress("feedback", id, "bounces.example.com", verpKey);
  const once = idsAt(feedback, complaint("c1", ""));
  expect(once).toEqual([`mail.complained ${id}.abuse.complained`]);
  expect(idsAt(feedback, complaint("c2", ""))).toEqual(once);
  expect(idsAt("abuse@example.com", complaint("c3", `Original-Mail-From: <${path}>\r\n`))).toEqual(once);
  expect(idsAt(feedback, complaint("c4", "", "fraud"))).not.toEqual(once);
});

test("bounces and complaints tell by which way the message left, from the return path", () => {
  const origin = Origin.parse("abcd2345");
  const path = encodeReturnPath(id, "bounces.example.com", verpKey, origin);
  expect(judge(report(""), { from: "", to: path }).events).toMatchObject([
    { subject: "mail.bounced", payload: { origin } },
  ]);
  const feedback = encodeOwnAddress("feedback", id, "bounces.example.com", verpKey);
  const complaint = (marks: string) =>
    `From: fbl@yahoo.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nVersion: 1\r\n${marks}--b--\r\n`;
  const originOf = (marks: string, to: string) =>
    judge(complaint(marks), { from: "", to }).events.map(
      ({ payload }) => "origin" in payload && payload.origin,
    );
  expect(originOf(`Original-Mail-From: <${path}>\r\n`, "abuse@example.com")).toEqual([origin]);
  expect(originOf(`X-To: ${feedback}\r\nX-From: ${path}\r\n`, "abuse@example.com")).toEqual([origin]);
  expect(originOf("", path)).toEqual([origin]);
  expect(originOf("", feedback)).toEqual([false]);
});

test("an unsubscription counts once, however it came", () => {
  const to = encodeOwnAddress("unsubscribe", id, "bounces.example.com", verpKey);
  const { events: stored } = judge("From: ann@x.test\r\nSubject: please\r\n\r\nno more\r\n", {
    from: "ann@x.test",
    to,
  });
  expect(stored.map(({ payload }) => payload.id)).toEqual([`${id}.unsubscribed`]);
});

test("what cannot be read is kept as unclear", () => {
  const nested = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n".repeat(2_000);
  expect(judge(nested, { from: "a@x.test", to: "help@example.com" }).events).toEqual([]);
  const undefinedMessage = consequences(undefined, {
    envelopeFrom: "",
    envelopeTo: "help@example.com",
    verpKey,
    isOwnDomain: () => false,
    nowMs: 0,
    identity: "i",
    authentication,
  });
  expect(undefinedMessage.kind).toBe("unclear");
});
