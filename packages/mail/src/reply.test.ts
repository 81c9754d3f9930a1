import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { Reason, type Reply, Reply as ReplyContract, reasons } from "@tyto/contracts";
import { type Provider, readProvider } from "./providers.ts";
import { rules } from "./reasons/index.ts";
import { classifyReply, formatReply, parseReply } from "./reply.ts";
import { timed } from "./report.testing.ts";

const folder = new URL("../fixtures/replies/", import.meta.url);
/**
 * `accept` lists readings that are as good as `reason` where the text itself is ambiguous. `mx` is the server that says it, where
 * its words mean something of their own there; of a file named for a provider each case is read there as well.
 */
type Case = { reply: string; reason: Reason; accept?: Reason[]; mx?: string };

function parsed(raw: string): Reply {
  const reply = parseReply(raw);
  if (reply === undefined) throw new Error(`no reply in ${raw}`);
  return reply;
}

for (const file of readdirSync(folder)) {
  const cases: Case[] = JSON.parse(readFileSync(new URL(file, folder), "utf8"));
  describe(file, () => {
    const provider = readProvider(file.replace(".json", ""));
    const read = (raw: string, { reason, accept }: Case, at: Provider | undefined) => {
      const reply = parsed(raw);
      const verdict = classifyReply(reply, at);
      expect(verdict.reason).toBeOneOf([reason, ...(accept ?? [])]);
      expect(verdict.fault).toBe(reasons[verdict.reason].fault);
      expect(verdict.hard).toBe(reply.code >= 500 && reasons[verdict.reason].hard);
    };
    test.each(cases.map((one) => [one.reply, one] as const))("%s", (raw, one) => {
      read(raw, one, one.mx === undefined ? undefined : readProvider(one.mx));
      if (provider !== undefined) read(raw, one, provider);
    });
  });
}

test("what an unknown server says suppresses nobody for what a provider means by it", () => {
  const file = new URL("at-providers.json", folder);
  const cases: Case[] = JSON.parse(readFileSync(file, "utf8"));
  const wrong = cases.filter(({ reply, reason }) => {
    const { hard, fault } = classifyReply(parsed(reply));
    return hard && fault === "recipient" && reasons[reason].fault !== "recipient";
  });
  expect(wrong.map(({ reply }) => reply)).toEqual([]);
});

test("only four reasons are hard and the recipient's fault", () => {
  const suppressing = Object.entries(reasons).filter(([, row]) => row.fault === "recipient" && row.hard);
  expect(suppressing.map(([reason]) => reason).toSorted()).toEqual([
    "domain.takes-no-mail",
    "domain.unknown",
    "mailbox.moved",
    "mailbox.unknown",
  ]);
});

test.each(rules.map((rule) => [rule.reason, rule] as const))("%s in a 4xx is never hard", (_, rule) => {
  for (const status of rule.statuses) {
    const enhanced = status.length > 4 ? status.replace(/^5/, "4") : `4.${status}`;
    expect(classifyReply({ code: 450, enhanced, text: "" }).hard).toBe(false);
  }
});

/** What no server says: ours to conclude. */
const withoutRule: Reason[] = ["unclear", "local.trouble", "sender.unsigned"];

test("every reason that a server can give has one rule", () => {
  const covered = rules.map((rule) => rule.reason);
  expect(new Set(covered).size).toBe(covered.length);
  expect([...covered, ...withoutRule].toSorted()).toEqual(Reason.options.toSorted());
});

test("a reply of several lines becomes one text without codes", () => {
  expect(parsed("550-5.1.1 No such\r\n550-5.1.1  user;\r\n550 5.1.1 bye\r\n")).toEqual({
    code: 550,
    enhanced: "5.1.1",
    text: "No such\nuser;\nbye",
  });
});

test("a status of another class than the code is left in nobody's way", () => {
  expect(parsed("550 4.2.2 odd").enhanced).toBeUndefined();
});

test("control characters of a server do not pass", () => {
  expect(parsed("550 5.7.1 a\u0000\u001b[31mb\tc").text).toBe("a [31mb c");
});

test("text is bounded and a text without a code is no reply", () => {
  expect(parsed(`550 ${"x".repeat(100_000)}`).text.length).toBe(2_000);
  expect(parseReply("connection lost")).toBeUndefined();
  expect(parseReply("")).toBeUndefined();
  expect(parseReply("999 x")).toBeUndefined();
});

test("a reply is shown on one line", () => {
  expect(formatReply(parsed("550-5.1.1 No\r\n550 5.1.1 user"))).toBe("550 5.1.1 No user");
  expect(formatReply({ code: 421, text: "" })).toBe("421");
});

test("any bytes are a bounded reply or none", () => {
  let state = 42;
  const next = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
  const pieces = [
    "550",
    "451",
    "-",
    " ",
    "\r\n",
    "\n",
    "5.1.1",
    "4.2.2",
    "#",
    "(#5.1.1)",
    "\0",
    "\u{1f4ec}",
    "user unknown",
    ";",
  ];
  for (let i = 0; i < 3_000; i++) {
    const raw = Array.from({ length: next(12) }, () =>
      next(4) === 0 ? String.fromCharCode(next(65_536)) : pieces[next(pieces.length)],
    ).join("");
    const reply = parseReply(raw);
    if (reply === undefined) continue;
    expect(() => ReplyContract.parse(reply)).not.toThrow();
    const verdict = classifyReply(reply);
    expect(verdict.confidence).toBeWithin(0, 1.01);
    if (verdict.hard) expect(reply.code).toBeGreaterThanOrEqual(500);
  }
});

test("no pattern is slow on a long hostile text", async () => {
  const words = [
    "user ",
    "mailbox ",
    "not ",
    "exceeded ",
    "host ",
    "blocked ",
    "SPF ",
    "due to ",
    "x",
    " ",
    "a.b ",
  ];
  for (const word of words) {
    const text = word.repeat(Math.ceil(2_000 / word.length));
    const { tookMs } = await timed(50, () => classifyReply({ code: 550, text }));
    expect(tookMs).toBeLessThanOrEqual(50);
  }
});
