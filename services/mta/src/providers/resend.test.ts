import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { Address } from "@tyto/contracts";
import { waitAsked } from "../schedule.ts";
import type { Mail } from "../smtp.ts";
import { resend } from "./resend.ts";
import { startApi } from "./testing.ts";

const taken = () => Response.json({ id: "49a3999c" });
const api = startApi(taken);
afterAll(() => api.stop());
beforeEach(() => {
  api.asked.length = 0;
  api.answer = taken;
});

const message = `From: "Ann, of Example" <ann@example.com>
To: Bob <bob@example.org>, Carl <carl@example.org>
Cc: dora@example.org
Reply-To: help@example.com
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=
Message-ID: <1@example.com>
Date: Fri, 15 Jan 2027 08:00:00 +0000
X-Tyto-Message: 01mcc5rm007956dzmhnd2x7ryp
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: multipart/alternative; boundary=c

--c
Content-Type: text/plain; charset=utf-8

Hello
--c
Content-Type: text/html; charset=utf-8

<p>Hello</p>
--c--
--b
Content-Type: text/csv; name=a.csv
Content-Disposition: attachment; filename=a.csv
Content-Transfer-Encoding: base64

MSwy
--b--
`.replaceAll("\n", "\r\n");
const mail = (to = "bob@example.org"): Mail => ({
  envelopeId: "01mcc5rm007956dzmhnd2x7ryp-0",
  from: Address.parse("b+1@bounces.example.com"),
  to: Address.parse(to),
  parts: [
    Buffer.from("DKIM-Signature: v=1; b=x\r\n"),
    Buffer.from(
      "List-Unsubscribe: <https://example.com/u/1>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
    ),
    Buffer.from(message),
  ],
  has8Bit: false,
});
const carry = (one = mail()) =>
  resend({ apiKey: "re_secret", url: api.url, atOnceMax: 1 }).carry(async () => one, {
    waitMs: 50,
    hold: () => {},
    signal: new AbortController().signal,
  });

test("the message in fields: everything that a reader sees, and the headers that unsubscribe", async () => {
  expect(await carry()).toMatchObject({
    kind: "accepted",
    reply: { code: 200 },
    conversation: { provider: "resend", providerId: "49a3999c" },
  });
  const [{ method, path, headers, body } = { method: "", path: "", headers: new Headers(), body: "{}" }] =
    api.asked;
  expect([method, path, headers.get("authorization")]).toEqual(["POST", "/emails", "Bearer re_secret"]);
  expect(JSON.parse(body)).toEqual({
    from: '"Ann, of Example" <ann@example.com>',
    to: ['"Bob" <bob@example.org>'],
    reply_to: ["help@example.com"],
    subject: "Grüße",
    text: expect.stringMatching(/^Hello\s*$/),
    html: expect.stringMatching(/^<p>Hello<\/p>\s*$/),
    headers: {
      "List-Unsubscribe": "<https://example.com/u/1>",
      "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
      "Message-ID": "<1@example.com>",
      "X-Tyto-Message": "01mcc5rm007956dzmhnd2x7ryp",
    },
    attachments: [{ filename: "a.csv", content: "MSwy", content_type: "text/csv" }],
  });
});

test("each recipient gets a message to them alone, also one who stands in no field", async () => {
  await carry(mail("dora@example.org"));
  await carry(mail("blind@example.org"));
  expect(api.asked.map(({ body }) => JSON.parse(body).to)).toEqual([
    ["dora@example.org"],
    ["blind@example.org"],
  ]);
});

test("every attempt of a delivery has the same key and the same body, so that Resend sends once", async () => {
  await carry();
  await carry();
  const [first, second] = api.asked;
  expect(first?.headers.get("idempotency-key")).toBe("01mcc5rm007956dzmhnd2x7ryp-0");
  expect(second?.headers.get("idempotency-key")).toBe(first?.headers.get("idempotency-key") ?? "");
  expect(second?.body).toBe(first?.body ?? "");
});

describe("what Resend answers decides", () => {
  test.each([
    [429, "rate_limit_exceeded", "Too many requests", false, "rate.limited", false],
    [500, "internal_server_error", "Sorry", false, "receiver.busy", false],
    [409, "concurrent_idempotent_requests", "under way", false, "receiver.busy", true],
    [409, "invalid_idempotent_request", "another body", false, "receiver.busy", true],
    [422, "validation_error", "Invalid `to` field", true, "content.malformed", false],
    [403, "validation_error", "The example.com domain is not verified", false, "sender.refused", false],
    [401, "missing_api_key", "Missing API key", false, "local.trouble", false],
    [413, "", "", true, "content.too-large", false],
  ] as const)(
    "%i %s (%s): permanent %p, %s, in doubt %p",
    async (status, name, message, isPermanent, reason, isInDoubt) => {
      api.answer = () => Response.json({ name, message, statusCode: status }, { status });
      expect(await carry()).toMatchObject({
        kind: "failed",
        isPermanent,
        reason,
        isInDoubt,
        reply: { code: status },
      });
    },
  );

  test("and Retry-After says when to come again", async () => {
    api.answer = () =>
      Response.json({ message: "slow down" }, { status: 429, headers: { "retry-after": "30" } });
    const carried = await carry();
    expect("reply" in carried ? waitAsked(carried.reply?.text ?? "") : undefined).toBe(30_000);
  });

  test("and a page that is no JSON is no outcome", async () => {
    api.answer = () => new Response("<html>Bad gateway</html>", { status: 502 });
    expect(await carry()).toMatchObject({ kind: "failed", isPermanent: false, reason: "receiver.busy" });
  });
});

test("the API key stands nowhere in what is told", async () => {
  api.answer = () => Response.json({ message: "bad key re_secret" }, { status: 401 });
  expect(JSON.stringify(await carry())).not.toContain("re_secret");
});
