import { expect, test } from "bun:test";
import { Attachment, CustomHeaders, Mailbox, SendRequest } from "./api.ts";
import { isSubject, subjects } from "./events.ts";
import { placeOf, sendSubject } from "./queue.ts";
import { consumers } from "./streams.ts";
import { users } from "./users.ts";
import { Address, Domain, deliveryId, MessageId, messageIdOf, newMessageId } from "./values.ts";

test("a new message id sorts by time and parses", () => {
  const [early, late] = [newMessageId(1_000), newMessageId(2_000)];
  expect(early < late).toBe(true);
  expect(MessageId.parse(early)).toBe(early);
  expect(messageIdOf(deliveryId(early, 3))).toBe(early);
});

test.each([
  ["ann@Example.COM", "ann@example.com"],
  ["o'hara+tag@mail.example.org", "o'hara+tag@mail.example.org"],
  ["grüße@bücher.example", "grüße@bücher.example"],
])("%s is an address", (text, expected) => {
  expect(String(Address.parse(text))).toBe(expected);
});

test.each([
  "",
  "ann",
  "ann@",
  "@example.com",
  "ann@localhost",
  "a b@example.com",
  "ann@-x.com",
  "ann@x\r\n.com",
  "<ann@example.com>",
])("%p is not an address", (text) => {
  expect(Address.safeParse(text).success).toBe(false);
});

test("a mailbox may carry a name, and no line break", () => {
  expect(Mailbox.parse('"Ann \\"A\\" Lee" <ann@example.com>')).toEqual({
    address: Address.parse("ann@example.com"),
    name: 'Ann "A" Lee',
  });
  expect(Mailbox.safeParse("Ann\r\nBcc: eve@example.com <ann@example.com>").success).toBe(false);
});

test("headers that Tyto writes are refused in any case", () => {
  expect(CustomHeaders.safeParse({ "X-Campaign": "spring" }).success).toBe(true);
  for (const name of ["From", "DKIM-signature", "BCC", "message-ID"])
    expect(CustomHeaders.safeParse({ [name]: "x" }).success).toBe(false);
});

test("a type of a file brings no eight bits into a header", () => {
  const typed = (content_type: string) =>
    Attachment.safeParse({ filename: "x", content: "AAAA", content_type });
  expect(typed('text/plain; name="x y"').success).toBe(true);
  for (const type of ["text/plain; name=ü", "text/plain;\u2028", "text/plain; a\x7f", "text"])
    expect(typed(type).success).toBe(false);
});

test("a request without a body text names the field", () => {
  const parsed = SendRequest.safeParse({ from: "a@example.com", to: "b@example.com", subject: "Hi" });
  expect(parsed.error?.issues[0]?.path).toEqual(["text"]);
});

test("every subject has a publisher, and every publisher and filter names a real subject", () => {
  const published = new Set(Object.values(users).flatMap((user) => user.publishes as readonly string[]));
  expect([...published].toSorted()).toEqual(subjects.toSorted());
  for (const { stream, filter } of Object.values(consumers))
    if (stream === "EVENTS")
      for (const subject of filter) expect(subject.endsWith(">") || isSubject(subject)).toBe(true);
});

test("every durable has a user that may consume it", () => {
  const consumed = Object.values(users).flatMap((user) => user.consumes as readonly string[]);
  expect(consumed.toSorted()).toEqual(Object.keys(consumers).toSorted());
});

test("the subject of an entry names its traffic and its place in one token, whatever their case", () => {
  const recipient = Address.parse("a@Example.com");
  expect(sendSubject("bulk", placeOf({ recipient }))).toBe("queue.send.bulk.example_com");
  expect(sendSubject("transactional", placeOf({ recipient, site: "2001:db8::1=2526" }))).toBe(
    "queue.send.transactional.2001-db8--1=2526",
  );
  expect(Domain.parse(" Example.com. ")).toBe(Domain.parse("example.com"));
});

test("no mailbox and no header takes more time than it has characters", () => {
  const spaces = " ".repeat(500);
  // Five hundred of each took minutes where two parts of a pattern could match the same text.
  for (const text of [spaces, `a${spaces.slice(1)}`, `${spaces.slice(0, 250)}<${spaces.slice(0, 249)}`])
    for (let round = 0; round < 500; round++) expect(Mailbox.safeParse(text).success).toBe(false);
  const words = `${"a".repeat(900)} `.repeat(2);
  for (let round = 0; round < 500; round++)
    expect(CustomHeaders.safeParse({ "X-A": words }).success).toBe(true);
  expect(CustomHeaders.safeParse({ "X-A": "a".repeat(901) }).success).toBe(false);
}, 60_000);
