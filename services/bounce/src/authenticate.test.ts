import { afterAll, beforeAll, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { createResolver } from "@tyto/dns";
import { type DnsServer, startDns } from "@tyto/dns/testing";
import { silentLog } from "@tyto/service";
import { dkimSign } from "mailauth";
import { authenticator } from "./authenticate.ts";

let dns: DnsServer;
let check: ReturnType<typeof authenticator>;
// 2048 bits: the record is longer than one character-string of a TXT record.
const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2_048 });
const p = publicKey.export({ type: "spki", format: "der" }).toString("base64");

beforeAll(async () => {
  dns = await startDns({
    "sender.test": { TXT: ["v=spf1 ip4:127.0.0.1 -all"] },
    "s1._domainkey.sender.test": { TXT: [`v=DKIM1; k=rsa; p=${p}`] },
    "_dmarc.sender.test": { TXT: ["v=DMARC1; p=reject"] },
    "broken.test": "servfail",
  });
  check = authenticator(createResolver({ servers: dns.servers }), "mail.receiver.test", silentLog);
});
afterAll(() => dns.stop());

const mail = (from: string) =>
  `From: Shop <news@${from}>\r\nTo: <help@receiver.test>\r\nSubject: Hi\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@${from}>\r\n\r\nHello\r\n`;

async function signed(): Promise<string> {
  const text = mail("sender.test");
  const key = { signingDomain: "sender.test", selector: "s1" };
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  // Its types know one key at the top, its code the list.
  const options = { ...key, privateKey: pem, signatureData: [{ ...key, privateKey: pem }] };
  const { signatures } = await dkimSign(text, options);
  return signatures + text;
}

const incoming = (text: string, from = "news@sender.test", remoteIp = "127.0.0.1") => ({
  bytes: new TextEncoder().encode(text),
  envelopeFrom: from,
  recipients: [],
  remoteIp,
  helo: "mx.sender.test",
});

test("honest mail passes SPF, DKIM with a key of 2048 bits, and DMARC", async () => {
  expect(await check(incoming(await signed()))).toEqual({ spf: "pass", dkim: "pass", dmarc: "pass" });
});

test("a changed body does not pass DKIM, another sender's address fails SPF, and both together fail DMARC", async () => {
  const changed = (await signed()).replace("Hello", "Hallo");
  expect(await check(incoming(changed))).toEqual({ spf: "pass", dkim: "neutral", dmarc: "pass" });
  expect(await check(incoming(changed, "news@sender.test", "127.0.0.9"))).toEqual({
    spf: "fail",
    dkim: "neutral",
    dmarc: "fail",
  });
});

test("without records there is nothing to say", async () => {
  expect(await check(incoming(mail("unknown.test"), "a@unknown.test"))).toEqual({
    spf: "none",
    dkim: "none",
    dmarc: "none",
  });
});

test("a DNS that fails gives temperror and refuses nothing", async () => {
  const result = await check(incoming(mail("broken.test"), "a@broken.test"));
  expect(result.spf).toBe("temperror");
});

test.each([
  "",
  "\r\n\r\n",
  "\0\0\0",
  `From: ${"x".repeat(100_000)}\r\n\r\n`,
  "DKIM-Signature: v=1; a=;;;=\r\n\r\n",
])("%# a message that is none is judged without an error", async (text) => {
  expect(Object.keys(await check(incoming(text, "")))).toEqual(["spf", "dkim", "dmarc"]);
});
