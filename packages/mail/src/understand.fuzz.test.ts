import { expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { defaultOrganization, events, newMessageId, type StoredEvent } from "@tyto/contracts";
import { rounds } from "../../../test/parts/rounds.ts";
import {
  parseTlsJson,
  readDmarcReport,
  readMessage,
  replyText,
  type Understood,
  understand,
} from "./index.ts";
import { timed } from "./report.testing.ts";
import { factsOf } from "./understand.testing.ts";

/** Numbers below a limit, the same ones in every run. */
function seeded(seed: number) {
  let state = seed;
  return (limit: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

const folders = [
  "complaints",
  "unsubscribes",
  "auto-replies",
  "challenges",
  "dmarc",
  "tls",
  "replies-by-people",
  "unclear",
];
const cases = await Promise.all(
  folders.flatMap((folder) => {
    const directory = `${import.meta.dir}/../fixtures/${folder}`;
    return [...new Bun.Glob("*.eml").scanSync(directory)].sort().map(async (file) => ({
      name: `${folder}/${file}`,
      bytes: await Bun.file(`${directory}/${file}`).bytes(),
      facts: factsOf((await Bun.file(`${directory}/${file.slice(0, -4)}.json`).json()).envelope),
    }));
  }),
);
const pieces = [
  "\r\n",
  "\n\n",
  "\0",
  "\xff\xfe",
  "--b5",
  "--bound-1--",
  "=?UTF-8?B?",
  "<",
  "]]>",
  "&x;",
  "<record>",
  "</feedback>",
  "Content-Type: message/rfc822\n\n",
  "Content-Transfer-Encoding: base64\n",
  "Feedback-Type: abuse\n",
  "> ",
  "On x wrote:\n",
  "schreef",
  '{"',
  "[[[[",
  "9".repeat(40),
  " ".repeat(500),
];

function mutated(bytes: Uint8Array, below: (limit: number) => number): Uint8Array {
  let text = Buffer.from(bytes).toString("latin1");
  for (let change = below(4) + 1; change > 0; change--) {
    const at = below(text.length + 1);
    const length = below(60);
    const kind = below(5);
    if (kind === 0) text = text.slice(0, at) + text.slice(at + length);
    else if (kind === 1) text = text.slice(0, at) + (pieces[below(pieces.length)] ?? "") + text.slice(at);
    else if (kind === 2) text = text.slice(0, at) + String.fromCharCode(below(256)) + text.slice(at + 1);
    else if (kind === 3)
      text = text.slice(0, at) + text.slice(at, at + length).repeat(below(20) + 1) + text.slice(at);
    else text = text.slice(0, at);
  }
  return Buffer.from(text, "latin1");
}

/** The events that bounce makes of it, as their contracts want them. */
function eventsOf(understood: Understood): { subject: StoredEvent["subject"]; payload: object }[] {
  const event = { id: "e", at: 1, organizationId: defaultOrganization, rawId: "r" };
  switch (understood.kind) {
    case "complaint":
      return [
        { subject: "mail.complained", payload: { ...event, ...understood.about, ...understood.complaint } },
      ];
    case "unsubscribe":
      return [
        {
          subject: "mail.unsubscribed",
          payload: { ...event, ...understood.about, method: understood.method },
        },
      ];
    case "dmarc-report":
      return understood.reports.map((report) => ({
        subject: "report.dmarc" as const,
        payload: { ...event, ...report },
      }));
    case "tls-report":
      return understood.reports.map((report) => ({
        subject: "report.tls" as const,
        payload: { ...event, ...report },
      }));
    default:
      return [];
  }
}

test("whatever came, it is understood as something, within its time, and gives events that keep their contracts", async () => {
  const below = seeded(20_260_105);
  const slow: unknown[] = [];
  for (let round = 0; round < rounds(300, 4_000); round++) {
    const given = cases[below(cases.length)];
    if (given === undefined) throw new Error("no cases");
    const bytes = mutated(given.bytes, below);
    const { result: understood, tookMs } = await timed(250, () => {
      const message = readMessage(bytes);
      return message && understand(message, given.facts);
    });
    if (understood === undefined) continue;
    if (tookMs > 250) slow.push({ name: given.name, round, tookMs });
    expect(understood.why.length).toBeGreaterThan(0);
    expect(understood.why.length).toBeLessThanOrEqual(300);
    for (const { subject, payload } of eventsOf(understood)) {
      const { success, error } = events[subject].safeParse(payload);
      expect({ name: given.name, round, success, problem: error?.issues[0] }).toEqual({
        name: given.name,
        round,
        success: true,
        problem: undefined,
      });
    }
  }
  expect(slow).toEqual([]);
}, 180_000);

test("XML and JSON that a stranger makes up end in a report or a reason", () => {
  const below = seeded(7);
  const tags = [
    "feedback",
    "record",
    "row",
    "count",
    "source_ip",
    "policy_published",
    "domain",
    "report_metadata",
    "x:y",
    "a b",
  ];
  for (let round = 0; round < 2_000; round++) {
    let xml = "<feedback>";
    for (let step = below(30); step > 0; step--) {
      const tag = tags[below(tags.length)];
      xml +=
        ["<", "</", "<!--", "<![CDATA[", "&#", "&lt;"][below(6)] + (tag ?? "") + (below(4) > 0 ? ">" : "");
    }
    const eml = `Subject: Report Domain: x\nContent-Type: application/gzip; name="a!b!1767484800!1767571199.xml.gz"\nContent-Transfer-Encoding: base64\n\n${gzipSync(xml).toString("base64")}`;
    const message = readMessage(Buffer.from(eml));
    expect(message && readDmarcReport(message)?.kind).toBeOneOf(["dmarc-report", "unclear"]);
    const json = JSON.stringify({ "report-id": round, policies: [{ policy: xml, summary: [] }] });
    const cut = json.slice(0, below(json.length + 1));
    expect(parseTlsJson(Buffer.from(below(2) === 0 ? cut : json)).kind).toBe("unclear");
  }
});

const hostile: [string, string][] = [
  ["spaces", " ".repeat(20_000)],
  ["empty lines", "\n".repeat(20_000)],
  ["lines of spaces", `${" ".repeat(240)}\n`.repeat(80)],
  ["beginnings of introductions", "On a ".repeat(4_000)],
  ["introductions that never end", "On a b c\n".repeat(2_200)],
  ["Dutch ones", "Op a\nschreef\n".repeat(1_500)],
  ["Chinese ones", "在\n".repeat(9_000)],
  ["Polish ones", "W dniu x\n".repeat(2_000)],
  ["Scandinavian ones", "man. a\n".repeat(2_800)],
  ["many at and on", `${"x on at ".repeat(30)}\n`.repeat(80)],
  ["years", "2026 from < > ".repeat(1_400)],
  ["dates", `${"05.01.2026 12:00 ".repeat(14)}\n`.repeat(80)],
  ["brackets", "<".repeat(20_000)],
  ["quotation marks", ">".repeat(20_000)],
  ["quoted lines", "> a\n".repeat(5_000)],
  ["header lines", "From: a\nVon: b\n".repeat(1_300)],
  ["dashes", "-".repeat(20_000)],
  ["dashed lines", `${"-".repeat(200)}a\n`.repeat(95)],
  ["closings", "Regards\n".repeat(2_500)],
  ["digits", `${"1".repeat(240)}:00 <a@b>\n`.repeat(80)],
];
for (const [name, text] of hostile)
  test(`${name} take little time`, async () => {
    for (const subject of [text, `Re: ${text}`, text.trim()]) {
      const message = readMessage(
        Buffer.from(
          `From: a@example.net\nSubject: ${subject.replaceAll("\n", " ").slice(0, 5_000)}\nIn-Reply-To: <x@y>\n\n${text}`,
        ),
      );
      if (message === undefined) throw new Error("not read");
      const { tookMs } = await timed(400, () => {
        understand(message, factsOf({ from: "a@example.net", to: "support@example.com" }));
        replyText(message);
      });
      expect(tookMs).toBeLessThanOrEqual(400);
    }
  });

test("an identifier is of ours only with its MAC", () => {
  const message = readMessage(
    Buffer.from(
      `From: a@example.net\nIn-Reply-To: <${newMessageId()}.${"a".repeat(20)}@example.com>\n\nHello`,
    ),
  );
  if (message === undefined) throw new Error("not read");
  expect(understand(message, factsOf({ from: "a@example.net", to: "support@example.com" })).kind).toBe(
    "mail",
  );
});
