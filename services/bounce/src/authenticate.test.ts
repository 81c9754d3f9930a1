import { afterAll, beforeAll, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { asNodeResolve, createResolver, type Resolver } from "@tyto/dns";
import { type DnsServer, startDns } from "@tyto/dns/testing";
import { silentLog } from "@tyto/service";
import { authenticate, dkimSign, sealMessage } from "mailauth";
import { authenticator } from "./authenticate.ts";
import { forgetSpooled, spooled } from "./testing.ts";

let dns: DnsServer;
let check: ReturnType<typeof authenticator>;
let resolver: Resolver;
const nowMs = 0;
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
  resolver = createResolver({ servers: dns.servers });
  check = authenticator(resolver, "mail.receiver.test", silentLog, () => nowMs);
});
afterAll(async () => {
  forgetSpooled();
  await dns.stop();
});

const mail = (from: string) =>
  `From: Shop <news@${from}>\r\nTo: <help@receiver.test>\r\nSubject: Hi\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@${from}>\r\n\r\nHello\r\n`;

const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();

async function signed(more = ""): Promise<string> {
  const text = mail("sender.test") + more;
  const key = { signingDomain: "sender.test", selector: "s1" };
  // Its types know one key at the top, its code the list.
  const options = { ...key, privateKey: pem, signatureData: [{ ...key, privateKey: pem }] };
  const { signatures } = await dkimSign(text, options);
  return signatures + text;
}

const incoming = async (text: string, from = "news@sender.test", remoteIp = "127.0.0.1") => ({
  message: await spooled(text),
  envelopeFrom: from,
  remoteIp,
  helo: "mx.sender.test",
});

test("honest mail passes SPF, DKIM with a key of 2048 bits, and DMARC", async () => {
  expect(await check(await incoming(await signed()))).toEqual({
    spf: "pass",
    dkim: "pass",
    dmarc: "pass",
    arc: "none",
  });
});

test("a long message is judged from its file, bare line feeds or not", async () => {
  const long = await signed(`${"line\r\n".repeat(50_000)}`);
  const message = await incoming(long);
  expect(message.message.content).toBeInstanceOf(Blob);
  expect((await check(message)).dkim).toBe("pass");
  expect((await check(await incoming(long.replaceAll("\r\n", "\n")))).dkim).toBe("pass");
  expect((await check(await incoming(long.replace("line\r\nline", "line\r\n line")))).dkim).toBe("neutral");
  await message.message.discard();
});

test("mail that was forwarded with an ARC seal shows an intact chain, and a broken one when it was changed", async () => {
  const text = await signed();
  const judged = await authenticate(text, {
    ip: "127.0.0.1",
    helo: "mx.sender.test",
    sender: "news@sender.test",
    mta: "mail.receiver.test",
    resolver: asNodeResolve(resolver) as never,
    disableBimi: true,
  });
  const seal = await sealMessage(text, {
    signingDomain: "sender.test",
    selector: "s1",
    privateKey: pem,
    authResults: String((judged.arc as unknown as { authResults: string }).authResults),
    cv: "none",
  } as never);
  const forwarded = seal.toString() + text;
  expect((await check(await incoming(forwarded, "list@other.test", "127.0.0.9"))).arc).toBe("pass");
  const changed = forwarded.replace("Hello", "Hallo");
  expect((await check(await incoming(changed, "list@other.test", "127.0.0.9"))).arc).toBe("fail");
});

test("a changed body does not pass DKIM, another sender's address fails SPF, and both together fail DMARC", async () => {
  const changed = (await signed()).replace("Hello", "Hallo");
  expect(await check(await incoming(changed))).toMatchObject({ spf: "pass", dkim: "neutral", dmarc: "pass" });
  expect(await check(await incoming(changed, "news@sender.test", "127.0.0.9"))).toMatchObject({
    spf: "fail",
    dkim: "neutral",
    dmarc: "fail",
  });
});

test("without records there is nothing to say", async () => {
  expect(await check(await incoming(mail("unknown.test"), "a@unknown.test"))).toEqual({
    spf: "none",
    dkim: "none",
    dmarc: "none",
    arc: "none",
  });
});

test("a DNS that fails gives temperror and refuses nothing", async () => {
  const result = await check(await incoming(mail("broken.test"), "a@broken.test"));
  expect(result.spf).toBe("temperror");
});

test("more signatures, longer headers or longer lines than anybody needs are not looked into", async () => {
  const text = await signed();
  const signature = text.slice(0, text.indexOf("From:"));
  const asked = dns.queries.length;
  for (const bytes of [
    signature.repeat(20) + text,
    `X-Long: ${"x".repeat(300_000)}\r\n${text}`,
    text + "y".repeat(300_000),
  ]) {
    const message = await incoming(bytes);
    expect((await check(message)).dkim).toBe("policy");
    await message.message.discard();
  }
  expect(dns.queries.length).toBe(asked);
});

test.each([
  "",
  "\r\n\r\n",
  "\0\0\0",
  `From: ${"x".repeat(100_000)}\r\n\r\n`,
  "DKIM-Signature: v=1; a=;;;=\r\n\r\n",
])("%# a message that is none is judged without an error", async (text) => {
  expect(Object.keys(await check(await incoming(text, "")))).toEqual(["spf", "dkim", "dmarc", "arc"]);
});

test("headers that would take half a minute to unfold, or to look for what is signed, are not looked at", async () => {
  const policy = { spf: "none", dkim: "policy", dmarc: "permerror", arc: "none" };
  const honest = await signed();
  const folded = `X-Folded: a${"\r\n ".repeat(60_000)}b\r\n`;
  const listing = `DKIM-Signature: v=1; d=sender.test; s=s1; h=${"x:".repeat(20_000)}from; bh=AAAA; b=AAAA\r\n`;
  expect(await check(await incoming(folded + honest))).toEqual(policy);
  expect(await check(await incoming(folded + mail("sender.test")))).toEqual(policy);
  expect(await check(await incoming(listing + honest))).toEqual(policy);
  const recipients = `X-To: ${"a@b.test,\r\n ".repeat(900)}a@b.test\r\n`;
  expect((await check(await incoming(recipients + honest))).dkim).toBe("pass");
});
