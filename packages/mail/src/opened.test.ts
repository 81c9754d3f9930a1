import { expect, test } from "bun:test";
import { type OpenedMessage, openedBytesMax, openMessage } from "./opened.ts";
import { mutate, random } from "./report.testing.ts";

const bytesOf = (text: string) => new Uint8Array(Buffer.from(text, "latin1"));
function opened(text: string): OpenedMessage {
  const message = openMessage(bytesOf(text.replaceAll("\n", "\r\n")));
  if (message === undefined) throw new Error("it was not opened");
  return message;
}

const letter = `From: "Eve Adams" <eve@else.test>
To: =?UTF-8?Q?B=C3=B6b?= <bob@sender.test>, carl@sender.test
Cc: dan@sender.test
Reply-To: Desk <desk@else.test>
Subject: =?UTF-8?B?TGFtcGVuIGbDvHIgYWxsZQ==?=
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=outer

--outer
Content-Type: multipart/related; boundary=inner

--inner
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: quoted-printable

<p>Gr=C3=BC=C3=9Fe</p><p>See <img src=3D"cid:logo@else.test"></p>
--inner
Content-Type: image/png; name="logo.png"
Content-ID: <logo@else.test>
Content-Transfer-Encoding: base64

iVBORw0KGgo=
--inner--
--outer
Content-Type: text/csv; charset=utf-8
Content-Disposition: attachment; filename*=UTF-8''preise%20f%C3%BCr%20B.csv
Content-Transfer-Encoding: base64

YSxiCg==
--outer
Content-Type: message/rfc822

Subject: inside

text
--outer--
`;

test("a letter is opened with its people, its subject, the text of its HTML, and its files", () => {
  const { headers, html, files, ...message } = opened(letter);
  expect(message).toEqual({
    from: "Eve Adams <eve@else.test>",
    to: "Böb <bob@sender.test>, carl@sender.test",
    cc: "dan@sender.test",
    replyTo: "Desk <desk@else.test>",
    subject: "Lampen für alle",
    text: "Grüße\n\nSee",
    isTextOfHtml: true,
    isWhole: true,
  });
  expect(html).toContain('<img src="cid:logo@else.test">');
  expect(headers[1]).toEqual({ name: "to", value: "Böb <bob@sender.test>, carl@sender.test" });
  expect(files.map(({ bytes, ...file }) => ({ ...file, bytes: bytes.length }))).toEqual([
    { type: "image/png", name: "logo.png", contentId: "logo@else.test", bytes: 8 },
    { type: "text/csv", name: "preise für B.csv", bytes: 4 },
    { type: "message/rfc822", name: "message.eml", bytes: 23 },
  ]);
});

test("where there is plain text, it is the text", () => {
  const { text, isTextOfHtml, html } = opened(
    "Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain\n\nplain\n--b\nContent-Type: text/html\n\n<p>page</p>\n--b--\n",
  );
  expect([text, isTextOfHtml, html]).toEqual(["plain", false, "<p>page</p>"]);
});

test("a file of many megabytes is whole, also in quoted-printable", () => {
  const line = `${"QUJD".repeat(19)}\n`;
  const asBase64 = opened(
    `Content-Type: application/zip; name=a.zip\nContent-Transfer-Encoding: base64\n\n${line.repeat(100_000)}`,
  );
  expect([asBase64.isWhole, asBase64.files[0]?.bytes.length]).toEqual([true, 5_700_000]);
  const asQuoted = opened(
    `Content-Type: application/zip; name=a.zip\nContent-Transfer-Encoding: quoted-printable\n\n${`${"=41".repeat(25)}=\n`.repeat(50_000)}`,
  );
  expect(asQuoted.files[0]?.bytes.length).toBe(1_250_000);
});

test("what is longer than is read says so", () => {
  expect(opened(`\n${"a".repeat(600_000)}`)).toMatchObject({ isWhole: false, text: "a".repeat(500_000) });
  const large = new Uint8Array(openedBytesMax + 1);
  large.set(bytesOf("Content-Type: application/zip\n\n"));
  expect(openMessage(large)?.isWhole).toBe(false);
});

test("nesting without end is not opened", () => {
  const nested = Array.from(
    { length: 40 },
    (_, at) => `Content-Type: multipart/mixed; boundary=b${at}\n\n--b${at}\n`,
  ).join("");
  expect(openMessage(bytesOf(nested))).toBeUndefined();
});

test("damaged letters are opened as far as they go, and never thrown over", () => {
  const next = random(11);
  for (let round = 0; round < 500; round++) {
    const message = openMessage(mutate(bytesOf(letter), next));
    for (const { name } of message?.files ?? []) expect(name).not.toBe("");
  }
});
