import { expect, test } from "bun:test";
import { formatTrace } from "./trace.ts";

const at = (ms: number) => new Date(Date.UTC(2026, 0, 1, 12, 0, 0, ms)).toISOString();

test("the life of a message is told in the order of time, with the time since the step before", () => {
  const lines = formatTrace({
    id: "msg_1",
    status: "delivered",
    from: "ann@x.test",
    subject: "Hello",
    tags: [],
    metadata: {},
    created_at: at(0),
    recipients: [{ address: "bob@y.test", role: "to", status: "delivered", attempts: 2 }],
    timeline: [
      { at: at(61_200), event: "mail.delivered", recipient: "bob@y.test", reply: "250 2.0.0 ok" },
      { at: at(0), event: "mail.accepted" },
      { at: at(1_200), event: "mail.deferred", recipient: "bob@y.test", reply: "451 4.7.1 later" },
    ],
  }).map((line) => Bun.stripANSI(line));
  expect(lines.slice(3, 6).map((line) => line.trim().split(/\s{2,}/))).toEqual([
    ["12:00:00.000", "mail.accepted"],
    ["12:00:01.200", "+1.2 s", "mail.deferred", "bob@y.test", "451 4.7.1 later"],
    ["12:01:01.200", "+1 min 0 s", "mail.delivered", "bob@y.test", "250 2.0.0 ok"],
  ]);
  expect(lines.at(-1)).toContain("2 attempts");
});

test("what else is known of a step stands below it, in words, with times as times", () => {
  const tls = {
    version: "TLSv1.3",
    authorized: false,
    problem: "SELF_SIGNED",
    certificate: { subject: "CN=x" },
    policies: [{ policy: "sts", isEnforced: true }],
  };
  const lines = formatTrace({
    ...{ id: "msg_1", status: "deferred", from: "ann@x.test", subject: "Hello", tags: [], metadata: {} },
    created_at: at(0),
    recipients: [{ address: "bob@y.test", role: "to", status: "deferred", attempts: 1 }],
    timeline: [
      {
        ...{ at: at(0), event: "mail.deferred", recipient: "bob@y.test", reply: "451 4.7.1 later" },
        detail: {
          conversation: {
            ...{ mx: "mx.y.test", ip: "192.0.2.1", localIp: "192.0.2.9", reused: true, durationMs: 12.4 },
            tls,
          },
          reply: { code: 451, enhanced: "4.7.1", text: "later" },
          ...{ reason: "rate.limited", attempt: 1, nextAttemptAt: Date.UTC(2026, 0, 1, 13) },
          dkim: [{ domain: "x.test", selector: "s1", algorithm: "rsa-sha256" }],
        },
      },
    ],
  }).map((line) => Bun.stripANSI(line).trim());
  expect(lines[4]?.split(" · ")).toEqual([
    "to mx.y.test [192.0.2.1] from 192.0.2.9",
    "TLSv1.3, certificate CN=x not trusted (SELF_SIGNED), sts enforced",
    "12 ms in a session used before",
    "rate.limited",
    "signed by s1._domainkey.x.test (rsa-sha256)",
    "attempt=1",
    "nextAttemptAt=2026-01-01T13:00:00.000Z",
  ]);
});
