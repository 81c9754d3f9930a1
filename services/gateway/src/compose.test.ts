import { describe, expect, test } from "bun:test";
import { Failure, limits, newMessageId, SendRequest } from "@tyto/contracts";
import PostalMime, { decodeWords } from "postal-mime";
import { compose } from "./compose.ts";

const messageId = newMessageId(1_800_000_000_000);
const dateMs = Date.UTC(2027, 0, 15, 8, 0, 0);

const composed = (request: unknown) =>
  compose({
    mail: SendRequest.parse(request),
    messageId,
    messageIdHeader: `${messageId}@example.com`,
    dateMs,
  });
const simple = { from: "Ann <ann@example.com>", to: "bob@example.org", subject: "Hi", text: "Hello" };
const headersOf = (bytes: Uint8Array) => Buffer.from(bytes).toString().split("\r\n\r\n")[0] ?? "";

describe("a composed message", () => {
  test("with text alone is one part", async () => {
    const bytes = composed(simple);
    expect(Buffer.from(bytes).toString()).toBe(
      [
        "From: Ann <ann@example.com>",
        "To: bob@example.org",
        "Subject: Hi",
        `Message-ID: <${messageId}@example.com>`,
        "Date: Fri, 15 Jan 2027 08:00:00 +0000",
        `X-Tyto-Message: ${messageId}`,
        "Content-Transfer-Encoding: 7bit",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "",
        "Hello",
        "",
      ].join("\r\n"),
    );
  });

  test("says that it may travel without TLS when the sender allows it", () => {
    expect(headersOf(composed({ ...simple, require_tls: false }))).toContain("\r\nTLS-Required: No\r\n");
    for (const more of [{}, { require_tls: true }])
      expect(headersOf(composed({ ...simple, ...more }))).not.toContain("TLS-Required");
  });

  test("has the same bytes each time", () => {
    const request = {
      ...simple,
      html: "<p>Grüße</p>",
      attachments: [{ filename: "a.txt", content: "aGk=" }],
    };
    expect(Buffer.from(composed(request)).equals(Buffer.from(composed(request)))).toBe(true);
  });

  test("with text, html, an inline image and a file nests them as mail programs expect", async () => {
    const parsed = await PostalMime.parse(
      composed({
        ...simple,
        html: '<img src="cid:logo">',
        attachments: [
          { filename: "logo.png", content: "aGVsbG8=", content_id: "logo" },
          { filename: "größe 1.pdf", content: "JVBERg==" },
        ],
      }),
    );
    expect(parsed.text?.trim()).toBe("Hello");
    expect(parsed.html?.trim()).toBe('<img src="cid:logo">');
    expect(
      parsed.attachments.map(({ filename, mimeType, disposition, contentId }) => ({
        filename,
        mimeType,
        disposition,
        contentId,
      })),
    ).toEqual([
      { filename: "logo.png", mimeType: "image/png", disposition: "inline", contentId: "<logo>" },
      {
        filename: "größe 1.pdf",
        mimeType: "application/pdf",
        disposition: "attachment",
        contentId: undefined,
      },
    ]);
    const [, pdf] = parsed.attachments;
    expect(Buffer.from(pdf?.content as ArrayBuffer).toString()).toBe("%PDF");
  });

  test("names to, cc and reply-to, and never bcc", () => {
    const headers = headersOf(
      composed({ ...simple, cc: ["c@example.org"], bcc: ["secret@example.org"], reply_to: "r@example.com" }),
    );
    expect(headers).toContain("Cc: c@example.org");
    expect(headers).toContain("Reply-To: r@example.com");
    expect(headers.toLowerCase()).not.toContain("bcc");
    expect(headers).not.toContain("secret");
  });

  test("carries custom headers as they were spelled", () => {
    expect(headersOf(composed({ ...simple, headers: { "X-CAMPAIGN-ID": "Frühling" } }))).toMatch(
      /^X-CAMPAIGN-ID: =\?UTF-8\?Q\?Fr=C3=BChling\?=$/m,
    );
  });

  test("encodes text that is not ASCII in a way that 7-bit paths keep", async () => {
    const bytes = composed({ ...simple, text: "Grüße\r\n漢字 🙂\n.\nFrom here", html: "<p>漢字漢字</p>" });
    expect(bytes.every((byte) => byte < 128)).toBe(true);
    const parsed = await PostalMime.parse(bytes);
    expect(parsed.text?.trim()).toBe("Grüße\n漢字 🙂\n.\nFrom here");
    expect(parsed.html?.trim()).toBe("<p>漢字漢字</p>");
  });

  test("writes an international domain in its ASCII form", () => {
    expect(headersOf(composed({ ...simple, to: "bob@bücher.example" }))).toContain(
      "To: bob@xn--bcher-kva.example",
    );
  });

  test("may not pass the size limit, and the error names it", () => {
    const content = Buffer.alloc(12_000_000).toString("base64");
    try {
      composed({
        ...simple,
        attachments: [
          { filename: "a.bin", content },
          { filename: "b.bin", content },
        ],
      });
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(Failure);
      expect((error as Failure).code).toBe("request.too-large");
      expect((error as Failure).hint).toContain(String(limits.messageBytesMax));
    }
  });
});

test("150 random messages come back from a parser as they were given, in lines of at most 998 octets", async () => {
  const random = seeded(20_261_121);
  for (let round = 0; round < 150; round++) {
    const request = randomRequest(random);
    const parsedRequest = SendRequest.safeParse(request);
    if (!parsedRequest.success) throw new Error(`${JSON.stringify(request)}: ${parsedRequest.error.message}`);
    const mail = parsedRequest.data;
    const bytes = composed(request);
    const raw = Buffer.from(bytes).toString("latin1");
    for (const line of raw.split("\r\n")) expect(line.length).toBeLessThanOrEqual(998);
    // No bare CR, LF or NUL anywhere.
    expect(/\r(?!\n)|(?<!\r)\n|\0/.test(raw)).toBe(false);

    const parsed = await PostalMime.parse(bytes);
    const expectedNames = [
      "from",
      "to",
      ...(mail.cc?.length ? ["cc"] : []),
      ...(mail.reply_to?.length ? ["reply-to"] : []),
      // A header without a value is left out.
      ...(mail.subject.trim() === "" ? [] : ["subject"]),
      "message-id",
      "date",
      "x-tyto-message",
      ...Object.keys(mail.headers ?? {}).map((name) => name.toLowerCase()),
      "mime-version",
      "content-type",
    ];
    const names = parsed.headers.map(({ key }) => key).filter((key) => key !== "content-transfer-encoding");
    expect(names.toSorted()).toEqual(expectedNames.toSorted());
    expect(squeeze(parsed.subject)).toBe(squeeze(mail.subject));
    expect(parsed.from?.address).toBe(mail.from.address);
    expect(squeeze(parsed.from?.name)).toBe(squeeze(mail.from.name));
    expect(parsed.to?.map(({ address }) => address)).toEqual(mail.to.map(({ address }) => address));
    for (const [name, value] of Object.entries(mail.headers ?? {}))
      expect(
        squeeze(decodeWords(parsed.headers.find(({ key }) => key === name.toLowerCase())?.value ?? "")),
      ).toBe(squeeze(value));
    if (mail.text !== undefined) expect(unixLines(parsed.text)).toBe(unixLines(mail.text));
    if (mail.html !== undefined) expect(unixLines(parsed.html)).toBe(unixLines(mail.html));
    expect(parsed.attachments.map(({ filename }) => filename).toSorted()).toEqual(
      (mail.attachments ?? []).map(({ filename }) => filename).toSorted(),
    );
    for (const file of mail.attachments ?? []) {
      const found = parsed.attachments.find(({ filename }) => filename === file.filename);
      expect(Buffer.from(found?.content as ArrayBuffer).toString("base64")).toBe(file.content);
    }
  }
});

const squeeze = (text: string | undefined) => (text ?? "").replace(/\s+/g, " ").trim();
const unixLines = (text: string | undefined) => (text ?? "").replace(/\r\n?|\n/g, "\n").replace(/\n+$/, "");

/** mulberry32: small, seeded, good enough to find inputs. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const alphabet = [
  ..."abcdefghijklmnopqrstuvwxyzABCXYZ0123456789",
  ..." .,;:!?\"'()<>@[]\\/=_-+*&%$#~^`|{}",
  ...["ä", "ß", "é", "漢", "字", "🙂", "\u0301", "\u200b", "ﷺ", "\t"],
];
const breaks = ["\n", "\r\n", "\r", "\n.\n", "\nFrom ", "\n--=_tyto\n"];

function randomRequest(random: () => number) {
  const below = (count: number) => Math.floor(random() * count);
  const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T;
  const maybe = <T>(make: () => T) => (random() < 0.5 ? make() : undefined);
  const line = (charsMax: number) => {
    // Long runs without a space are what breaks folding.
    const text =
      random() < 0.15
        ? pick(["x", "ü", "漢"]).repeat(below(charsMax))
        : Array.from({ length: below(charsMax) }, () => pick(alphabet)).join("");
    // A literal encoded word is decoded by readers, so it cannot come back as given.
    return text.replaceAll("=?", "=");
  };
  const block = () =>
    Array.from({ length: below(20) }, () => line(200) + (random() < 0.5 ? pick(breaks) : "")).join("");
  const address = () => `user${below(1000)}@${pick(["example.com", "mail.example.org", "bücher.example"])}`;
  const ascii = (text: string) => text.replace("bücher", "xn--bcher-kva");
  const name = () => line(40).replace(/["\\<>\t]/g, "");
  const mailbox = () => (random() < 0.5 ? ascii(address()) : `${name()} <${ascii(address())}>`);
  const text = maybe(block);
  const html = text === undefined ? block() : maybe(block);
  return {
    from: mailbox(),
    to: Array.from({ length: 1 + below(8) }, mailbox),
    cc: maybe(() => Array.from({ length: below(4) }, mailbox)),
    bcc: maybe(() => Array.from({ length: below(4) }, mailbox)),
    reply_to: maybe(mailbox),
    subject: line(300),
    text,
    html,
    headers: maybe(() =>
      Object.fromEntries(Array.from({ length: 1 + below(4) }, (_, i) => [`X-Fuzz-${i}`, `v${line(600)}`])),
    ),
    attachments: maybe(() =>
      Array.from({ length: below(4) }, (_, i) => ({
        filename: `${i} ${line(60).replace(/[\t"\\]/g, "")}.bin`,
        content: Buffer.from(Array.from({ length: below(400) }, () => below(256))).toString("base64"),
        ...(random() < 0.4 ? { content_id: `part${i}` } : {}),
        // Readers show an inline text file as part of the text, so none stands here.
        ...(random() < 0.4 ? { content_type: pick(["application/x-foo; a=b", "image/png"]) } : {}),
      })),
    ),
  };
}
