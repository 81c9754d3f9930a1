import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { createHash, createHmac } from "node:crypto";
import { Address } from "@tyto/contracts";
import type { Carried } from "../courier.ts";
import type { Mail } from "../smtp.ts";
import type { Provider } from "./provider.ts";
import { ses } from "./ses.ts";
import { startApi } from "./testing.ts";

const nowMs = Date.UTC(2027, 0, 15, 8);
const credentials = {
  accessKeyId: "AKIDTEST",
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG",
  sessionToken: "a session token",
};
const message = Buffer.from("From: ann@example.com\r\nSubject: hi\r\n\r\nHello\r\n");
const mail: Mail = {
  envelopeId: "01mcc5rm007956dzmhnd2x7ryp-0",
  from: Address.parse("b+1@bounces.example.com"),
  to: Address.parse("bob@bücher.example"),
  parts: [Buffer.from("DKIM-Signature: x\r\n"), message],
  has8Bit: false,
};

const api = startApi(() => Response.json({ MessageId: "0100-abc" }));
afterAll(() => api.stop());
beforeEach(() => {
  api.asked.length = 0;
  api.answer = () => Response.json({ MessageId: "0100-abc" });
});

const provider = (more: object = {}) =>
  ses({ region: "eu-west-1", credentials, url: api.url, atOnceMax: 2, ...more }, () => nowMs);
const carry = (from: Provider = provider(), held: (() => void)[] = []): Promise<Carried> =>
  from.carry(async () => mail, {
    waitMs: 50,
    hold: (release) => held.push(release),
    signal: new AbortController().signal,
  });

/** The signature as the documentation of Signature Version 4 builds it, from what the server received. */
function expectedSignature(headers: Headers, body: string): string {
  const signed = /SignedHeaders=([^,]+)/.exec(headers.get("authorization") ?? "")?.[1] ?? "";
  const hash = (text: string) => createHash("sha256").update(text).digest("hex");
  const lines = signed.split(";").map((name) => `${name}:${headers.get(name)}\n`);
  const canonical = `POST\n/v2/email/outbound-emails\n\n${lines.join("")}\n${signed}\n${hash(body)}`;
  const toSign = `AWS4-HMAC-SHA256\n20270115T080000Z\n20270115/eu-west-1/ses/aws4_request\n${hash(canonical)}`;
  let key: Buffer | string = `AWS4${credentials.secretAccessKey}`;
  for (const part of ["20270115", "eu-west-1", "ses", "aws4_request", toSign])
    key = createHmac("sha256", key).update(part).digest();
  return key.toString("hex");
}

test("the message goes out whole and signed, for one recipient, and its reports to our return path", async () => {
  const carried = await carry();
  expect(carried).toMatchObject({
    kind: "accepted",
    reply: { code: 200, text: "taken as 0100-abc" },
    conversation: { mx: "127.0.0.1", provider: "ses", providerId: "0100-abc", tls: null },
  });
  const [{ headers, body, path } = { headers: new Headers(), body: "", path: "" }] = api.asked;
  expect(path).toBe("/v2/email/outbound-emails");
  const { Content, ...rest } = JSON.parse(body);
  expect(rest).toEqual({
    Destination: { ToAddresses: ["bob@xn--bcher-kva.example"] },
    FeedbackForwardingEmailAddress: "b+1@bounces.example.com",
  });
  expect(Buffer.from(Content.Raw.Data, "base64").toString()).toBe(`DKIM-Signature: x\r\n${message}`);
  expect(headers.get("x-amz-security-token")).toBe("a session token");
  expect(headers.get("authorization")).toEndWith(`Signature=${expectedSignature(headers, body)}`);
});

const error = (status: number, type: string, words: string) => () =>
  Response.json({ message: words }, { status, headers: { "x-amzn-errortype": `${type}:http://internal/` } });

describe("what SES answers decides", () => {
  test.each([
    [429, "TooManyRequestsException", "Maximum sending rate exceeded", false, "rate.limited"],
    [400, "LimitExceededException", "Daily message quota exceeded", false, "rate.limited"],
    [500, "InternalFailure", "", false, "receiver.busy"],
    [503, "ServiceUnavailable", "", false, "receiver.busy"],
    [400, "MessageRejected", "Email content is not allowed", true, "content.refused"],
    [400, "MessageRejected", "Email address is not verified: ann@example.com", false, "sender.refused"],
    [400, "BadRequestException", "Illegal header", true, "content.malformed"],
    [413, "RequestEntityTooLarge", "", true, "content.too-large"],
    [400, "SendingPausedException", "Sending is paused", false, "local.trouble"],
    [403, "InvalidSignatureException", "The signature does not match", false, "local.trouble"],
    [404, "NotFoundException", "no such configuration set", false, "local.trouble"],
  ] as const)("%i %s (%s): permanent %p, %s", async (status, type, words, isPermanent, reason) => {
    api.answer = error(status, type, words);
    expect(await carry()).toMatchObject({
      kind: "failed",
      isPermanent,
      reason,
      isInDoubt: false,
      reply: { code: status },
      conversation: { provider: "ses" },
    });
  });
});

test("neither key nor token stands in what is told, whatever SES echoes", async () => {
  api.answer = error(403, "X", `AKIDTEST ${credentials.secretAccessKey} ${credentials.sessionToken}`);
  expect(JSON.stringify(await carry())).not.toMatch(/AKIDTEST|wJalr|session token/);
});

test("a lost answer leaves doubt, a refused connection none", async () => {
  const other = startApi(() => undefined);
  expect(await carry(provider({ url: other.url }))).toMatchObject({
    kind: "failed",
    isPermanent: false,
    reason: "network.unreachable",
    isInDoubt: true,
  });
  expect(await carry(provider({ url: other.url }))).toMatchObject({ kind: "failed", isInDoubt: false });
});

test("a redirect is not followed, since it would take the credentials elsewhere", async () => {
  api.answer = () => new Response(null, { status: 307, headers: { location: "http://127.0.0.1:9/" } });
  expect(await carry()).toMatchObject({ kind: "failed", isPermanent: false, reply: { code: 307 } });
  expect(api.asked).toHaveLength(1);
});

test("no more at once than allowed, until their outcomes are stored; who waits too long is told when to come again", async () => {
  const one = provider();
  const held: (() => void)[] = [];
  await Promise.all([carry(one, held), carry(one, held)]);
  expect(await carry(one)).toMatchObject({ kind: "wait" });
  expect(api.asked).toHaveLength(2);
  held.pop()?.();
  expect((await carry(one, held)).kind).toBe("accepted");
  const waiting = carry(one, held);
  one.close();
  expect(await waiting).toEqual({ kind: "interrupted" });
});

test("a failure makes room at once, and so does a message that cannot be made", async () => {
  const one = provider({ atOnceMax: 1 });
  api.answer = error(500, "", "");
  await carry(one);
  const signal = new AbortController().signal;
  const broken = one.carry(() => Promise.reject(new Error("no body")), { waitMs: 1, hold: () => {}, signal });
  await expect(broken).rejects.toThrow("no body");
  api.answer = () => Response.json({ MessageId: "1" });
  expect((await carry(one)).kind).toBe("accepted");
});
