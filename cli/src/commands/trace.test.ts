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
