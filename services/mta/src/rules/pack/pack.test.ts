import { describe, expect, test } from "bun:test";
import { providerOf } from "@tyto/contracts";
import { classifyReply, parseReply, readProvider } from "@tyto/mail";
import { compile, matches, plainText } from "../engine.ts";
import { Rule } from "../rule.ts";
import { pack } from "./index.ts";

/** Processor time of this process: unlike the clock on the wall, other work on the machine does not move it. */
const processorMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
};

/** A host of each provider that rules name, as DNS gives it. */
const hosts: Record<string, string> = {
  google: "gmail-smtp-in.l.google.com",
  microsoft: "example-com.mail.protection.outlook.com",
  yahoo: "mta5.am0.yahoodns.net",
  apple: "mx01.mail.icloud.com",
  comcast: "mx1a1.comcast.net",
  att: "al-ip4-mx-vip1.prodigy.net",
  charter: "p-nomx-cmx01.charter.net",
  cox: "cxr.mx.a.cloudfilter.cox.net",
  "united-internet": "mx00.gmx.net",
  "t-online": "mx00.t-online.de",
  orange: "smtp-in.orange.fr",
  laposte: "smtp4.laposte.net",
  free: "mx1.free.fr",
  libero: "smtp-in.libero.it",
  "mail.ru": "mxs.mail.ru",
  yandex: "mx.yandex.ru",
  qq: "mx3.qq.com",
  netease: "163mx01.mxmail.netease.com",
  mimecast: "eu-smtp-inbound-1.mimecast.com",
};

/** Does the rule match this reply as it comes over the wire, from a host of its provider or of nobody known? */
function isMatch(rule: Rule, raw: string): boolean {
  const reply = parseReply(raw);
  if (reply === undefined) throw new Error(`${JSON.stringify(raw)} is no reply`);
  const { provider } = rule.when;
  const host = provider === undefined ? "mx.example.net" : (hosts[provider] ?? "");
  const { reason } = classifyReply(reply, readProvider(host));
  const [compiled] = compile([{ ...rule, enabled: true }]);
  if (compiled === undefined) throw new Error("the rule is switched on");
  const site = provider === undefined ? { id: host } : { id: provider, provider };
  return matches(compiled, { reply, reason, site }, plainText(reply.text));
}

for (const { examples, ...rule } of pack)
  describe(rule.id, () => {
    test("is a rule as operators may write it", () => {
      expect(Rule.parse(rule)).toEqual(rule);
    });
    test("matches what servers say", () => {
      expect(examples.matches.length).toBeGreaterThan(0);
      for (const raw of examples.matches)
        expect({ raw, isMatch: isMatch(rule, raw) }).toEqual({ raw, isMatch: true });
    });
    test("leaves alone what is said beside it", () => {
      expect(examples.passes.length).toBeGreaterThan(0);
      for (const raw of examples.passes)
        expect({ raw, isMatch: isMatch(rule, raw) }).toEqual({ raw, isMatch: false });
    });
  });

test("there are at least forty, each with a name of its own", () => {
  expect(new Set(pack.map(({ id }) => id)).size).toBe(pack.length);
  expect(pack.length).toBeGreaterThanOrEqual(40);
});

test("the providers that rules name are those of their hosts", () => {
  for (const { when } of pack)
    if (when.provider !== undefined) expect(providerOf("@", hosts[when.provider])).toBe(when.provider);
});

/** What no rule may answer: greylists, full and unknown mailboxes, and a server in trouble of its own. */
const harmless = [
  "450 4.2.0 <ann@example.com>: Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/help/example.com.html",
  "451 4.7.1 Greylisting in action, please come back in 00:04:59",
  "550 5.1.1 <ann@example.com>: Recipient address rejected: User unknown in virtual mailbox table",
  "552 5.2.2 Mailbox full",
  "451 4.3.0 Temporary lookup failure",
  "452 4.3.1 Insufficient system storage",
  "552 5.3.4 Message size exceeds fixed limit",
  "554 5.4.14 Hop count exceeded - possible mail loop",
];

test.each(harmless)("no rule answers %p", (raw) => {
  expect(pack.filter((rule) => isMatch(rule, raw)).map(({ id }) => id)).toEqual([]);
});

test("no reply makes a pattern slow", () => {
  let state = 5;
  const pieces = [
    "too many ",
    "192.0.2.7 ",
    "blocked ",
    "IP=",
    "OFR_",
    "limit ",
    "try again later ",
    "a".repeat(80),
    " ".repeat(30),
    "[TS",
    "#RL00",
    "\n",
  ];
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return pieces[state % pieces.length] ?? "";
  };
  const compiled = compile(pack);
  const startedMs = processorMs();
  for (let round = 0; round < 500; round++) {
    const text = plainText(Array.from({ length: 40 }, next).join(""));
    for (const { pattern } of compiled) pattern?.test(text);
  }
  // About 30,000 tests of 1,000 characters: a pattern that backtracks would take minutes.
  expect(processorMs() - startedMs).toBeLessThan(4_000);
});
