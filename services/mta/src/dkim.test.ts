import { afterAll, beforeAll, expect, test } from "bun:test";
import { Domain, deliveryId, MessageId } from "@tyto/contracts";
import { asNodeResolve, createResolver } from "@tyto/dns";
import { type DnsServer, startDns } from "@tyto/dns/testing";
import { authenticate } from "mailauth";
import { withCrlf } from "./canonical.ts";
import { bodyHashOf, type SigningKey, signatures } from "./dkim.ts";
import { createVault, makeKeys, openKeys } from "./keys.ts";
import { personalFields } from "./personal.ts";

const domain = Domain.parse("example.com");
const vault = createVault("a secret of the test, long enough");
let dns: DnsServer;
let resolver: ReturnType<typeof asNodeResolve>;
let keys: SigningKey[];
beforeAll(async () => {
  const made = await makeKeys(domain, vault);
  keys = openKeys(
    {
      domain,
      keys: made,
      returnPathHost: Domain.parse("bounces.example.com"),
      organizationId: "default" as never,
      verified: true,
    },
    vault,
  );
  dns = await startDns(
    Object.fromEntries(
      made.map(({ selector, algorithm, publicKey }) => [
        `${selector}._domainkey.example.com`,
        { TXT: [`v=DKIM1; k=${algorithm === "rsa-sha256" ? "rsa" : "ed25519"}; p=${publicKey}`] },
      ]),
    ),
  );
  resolver = asNodeResolve(createResolver({ servers: dns.servers }));
});
afterAll(() => dns.stop());

async function verdicts(message: Buffer): Promise<string[]> {
  const { dkim } = await authenticate(message, {
    ip: "192.0.2.1",
    helo: "mail.example.com",
    sender: "ann@example.com",
    mta: "test",
    // mailauth types its resolver by node:dns overloads; ours has the same shape at run time.
    resolver: resolver as never,
  });
  return dkim.results.map(({ selector, status }) => `${selector} ${status.result}`);
}
const signed = async (text: string | Buffer) => {
  const message = withCrlf(Buffer.from(text));
  return Buffer.concat([await signatures(message, keys, 1_790_000_000), message]);
};

const plain = [
  "From: Ann <ann@example.com>",
  "To: bob@example.org",
  "Subject: a subject",
  "\tthat is folded ",
  "Date: Fri, 20 Nov 2026 14:00:00 +0000",
  "Message-ID: <1@example.com>",
  "List-Unsubscribe: <https://example.com/u>",
  "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
  "Feedback-ID: a:b:c",
  "",
  "Hello  Bob, ",
  "",
  "Grüße",
  "",
  "",
].join("\r\n");

test.each<[string, string]>([
  ["an ordinary message", plain],
  ["an empty body", plain.slice(0, plain.indexOf("\r\n\r\n") + 4)],
  ["a body of empty lines", `${plain.slice(0, plain.indexOf("\r\n\r\n") + 4)}\r\n\r\n \r\n`],
  ["a body without a final line end", plain.trimEnd()],
  ["bare line feeds", plain.replaceAll("\r\n", "\n")],
  ["two fields of a kind", plain.replace("To:", "X-A: 1\r\nList-Id: <a>\r\nList-Id: <b>\r\nTo:")],
  ["lines that begin with dots", `${plain}.\r\n..\r\n.x\r\n`],
  [
    "a header as long as allowed",
    plain.replace("a subject", Array.from({ length: 90 }, () => "subject").join(" ")),
  ],
])("%s is signed so that mailauth verifies both signatures", async (_name, text) => {
  expect(await verdicts(await signed(text))).toEqual(["tyto1r pass", "tyto1e pass"]);
});

test.each([
  "From: Eve <eve@example.net>",
  "Subject: pay now",
  "To: eve@example.net",
  "List-Unsubscribe: <https://evil.example>",
  "Reply-To: eve@example.net",
])("a field put in front breaks both signatures: %s", async (field) => {
  const message = Buffer.concat([Buffer.from(`${field}\r\n`), await signed(plain)]);
  expect(await verdicts(message)).toEqual(["tyto1r fail", "tyto1e fail"]);
});

test("fields of one recipient stand between signatures and message, covered like the others", async () => {
  const message = withCrlf(Buffer.from(plain.replace(/^List-Unsub.*\r\n/gm, "")));
  const personal = personalFields(
    deliveryId(MessageId.parse("01jd4000000000000000000000"), 7),
    "bounces.example.com",
    "https://tyto.example",
    "a key of the tests, 0123456789",
  );
  const header = await signatures(message, keys, 1_790_000_000, personal, bodyHashOf(message));
  const whole = Buffer.concat([header, personal, message]);
  expect(await verdicts(whole)).toEqual(["tyto1r pass", "tyto1e pass"]);
  for (const name of ["List-Unsubscribe:", "List-Unsubscribe-Post:", "CFBL-Address:", "CFBL-Feedback-ID:"]) {
    expect(personal.toString()).toContain(name);
    const changed = Buffer.from(whole.toString("latin1").replace(`\r\n${name}`, `\r\n${name} x`), "latin1");
    expect({ name, verdicts: await verdicts(changed) }).toEqual({
      name,
      verdicts: ["tyto1r fail", "tyto1e fail"],
    });
  }
});

test("a changed body breaks both signatures", async () => {
  const message = Buffer.from((await signed(plain)).toString("latin1").replace("Hello", "Hallo"), "latin1");
  expect(await verdicts(message)).toEqual(["tyto1r neutral", "tyto1e neutral"]);
});

test("RFC 8058 fields are covered, and no line is longer than 78 characters", async () => {
  const header = (await signatures(Buffer.from(plain), keys, 1)).toString();
  const covered =
    header
      .replace(/\s/g, "")
      .match(/;h=([^;]+);/)?.[1]
      ?.split(":") ?? [];
  expect(covered).toContain("list-unsubscribe");
  expect(covered).toContain("list-unsubscribe-post");
  expect(covered.filter((name) => name === "from")).toHaveLength(2);
  expect(Math.max(...header.split("\r\n").map((line) => line.length))).toBeLessThanOrEqual(78);
});

test("messages made of odd bytes are signed so that mailauth verifies them", async () => {
  let state = 11;
  const next = (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const pieces = [
    "\r\n",
    "\n",
    "\r",
    " ",
    "\t",
    ".",
    "a",
    "=3D",
    "\u00ff",
    "word word",
    "  ",
    "\r\n\r\n",
    ":",
  ];
  for (let round = 0; round < 60; round++) {
    const body = Array.from({ length: next(60) }, () => pieces[next(pieces.length)] ?? "").join("");
    const text = `From: a@example.com\r\nSubject: x${" ".repeat(next(4))}\r\n\r\n${body}`;
    expect(await verdicts(await signed(Buffer.from(text, "latin1")))).toEqual(["tyto1r pass", "tyto1e pass"]);
  }
});
