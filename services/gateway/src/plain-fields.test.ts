import { expect, test } from "bun:test";
import { type Mailbox, SendRequest } from "@tyto/contracts";
import MimeNode from "nodemailer/lib/mime-node";
import { plainFields } from "./plain-fields.ts";

const own = [["Message-ID", "<01jd4@example.com>"]] as const;
const request = { from: "ann@example.com", to: "bob@example.org", subject: "Hi", text: "Hello" };
const fieldsOf = (more: Record<string, unknown>) =>
  plainFields(SendRequest.parse({ ...request, ...more }), own);

/** The same fields as nodemailer's tree writes them. */
function written(mail: SendRequest): string {
  const node = new MimeNode("text/plain", {
    normalizeHeaderKey: (name) =>
      [...Object.keys(mail.headers ?? {}), "TLS-Required"].find(
        (given) => given.toLowerCase() === name.toLowerCase(),
      ) ?? name,
  });
  const list = (all: readonly Mailbox[]) => all.map((one) => ({ ...one }));
  node.setHeader("From", list([mail.from]));
  node.setHeader("To", list(mail.to));
  if (mail.cc !== undefined && mail.cc.length > 0) node.setHeader("Cc", list(mail.cc));
  if (mail.reply_to !== undefined && mail.reply_to.length > 0)
    node.setHeader("Reply-To", list(mail.reply_to));
  node.setHeader("Subject", mail.subject);
  for (const [name, value] of own) node.setHeader(name, value);
  if (mail.require_tls === false) node.setHeader("TLS-Required", "No");
  for (const [name, value] of Object.entries(mail.headers ?? {})) node.setHeader(name, value);
  return (
    node
      .buildHeaders()
      .split("Date: ")[0]
      ?.replace(/Content-Transfer-Encoding: .*\r\n/, "") ?? ""
  );
}

test.each([
  ["a name with a comma", { from: '"Bee, Ann" <ann@example.com>' }],
  ["a subject in another script", { subject: "Grüße" }],
  ["a subject that looks encoded", { subject: "=?utf-8?Q?x?=" }],
  ["a subject with a quote", { subject: 'a "b" c' }],
  ["a subject that is empty", { subject: "" }],
  ["a domain in another script", { to: "bob@bücher.example" }],
  ["a word that no line takes", { subject: "x".repeat(201) }],
  ["a field with a rule of its own", { headers: { References: "<a@example.com>" } }],
  ["one field in two spellings", { headers: { "X-A": "1", "x-a": "2" } }],
])("%s is left to the tree", (_what, more) => {
  expect(fieldsOf(more)).toBeUndefined();
});

test("3,000 random messages get the fields that nodemailer's tree gives them", () => {
  const random = seeded(20_261_121);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const words = (max: number) =>
    Array.from({ length: 1 + Math.floor(random() * max) }, () =>
      pick(["a", "Weekly", "report", "4711", "(x)", "it's", "--", "<b@c.example>", "{q}", "x".repeat(90)]),
    ).join(pick([" ", " ", "  "]));
  const mailbox = () => {
    const address = `u${Math.floor(random() * 9_999)}${pick(["", ".x", "+tag"])}@${pick(["b.co", "some-long.example.org"])}`;
    return random() < 0.3 ? `Ann ${pick(["Bee", "B_2"])} <${address}>` : address;
  };
  let plain = 0;
  for (let round = 0; round < 3_000; round++) {
    const mail = SendRequest.parse({
      from: mailbox(),
      to: Array.from({ length: 1 + Math.floor(random() * 12) }, mailbox),
      ...(random() < 0.3 ? { cc: [mailbox()] } : {}),
      ...(random() < 0.3 ? { reply_to: mailbox() } : {}),
      subject: words(20),
      text: "Hello",
      headers: { "X-Order": words(3), "list-id": words(2) },
      ...(random() < 0.2 ? { require_tls: false } : {}),
    });
    const fields = plainFields(mail, own);
    if (fields === undefined) continue;
    plain++;
    const tree = written(mail);
    expect(fields).toBe(tree.slice(0, fields.length));
  }
  expect(plain).toBe(3_000);
});

function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 4_294_967_296;
    return state / 4_294_967_296;
  };
}
