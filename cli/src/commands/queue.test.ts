import { expect, test } from "bun:test";
import type { QueueView } from "@tyto/contracts";
import { command, seconds } from "./queue.ts";
import { formatActed, formatMeasure, formatQueue, until } from "./queue-lines.ts";
import { formatSite, command as site } from "./site.ts";
import { createFormat, eventsOf } from "./trace-live.ts";

const nowMs = Date.UTC(2026, 0, 1, 12);
const at = (ms: number) => new Date(nowMs + ms).toISOString();
const minute = { delivered: 1_200, deferred: 30, bounced: 2 };
const queue: QueueView = {
  counted_at: at(0),
  by: "site",
  processes: 2,
  total: {
    ...{ entries: 12_345, ready: 12_000, later: 345, oldest_at: at(-7_380_000), next_at: at(240_000) },
    ...{ in_hand: 40, connections: 20, last_minute: minute },
  },
  classes: [
    { traffic: "transactional", entries: 45, ready: 45, later: 0 },
    { traffic: "bulk", entries: 12_300, ready: 11_955, later: 345 },
  ],
  rows: [
    {
      ...{
        key: "google",
        provider: "google",
        entries: 12_000,
        ready: 11_900,
        later: 100,
        state: "suspended",
      },
      ...{
        until: at(1_200_000),
        why: "google: 421 4.7.0 Try again later, closing connection. (too many messages from one address within the hour)",
      },
      ...{ connections: 0, in_hand: 0, last_minute: { delivered: 0, deferred: 30, bounced: 0 } },
    },
    {
      ...{
        key: "a-very-long-name-of-a-mail-server.of.somebody.example.org",
        entries: 345,
        ready: 100,
        later: 245,
      },
      ...{ state: "open", connections: 20, in_hand: 40, last_minute: minute },
    },
  ],
  rest: { rows: 7, entries: 11, ready: 11, later: 0 },
};
const plain = (lines: readonly string[]) => lines.map((line) => Bun.stripANSI(line));

test("a wide terminal shows all columns, numbers below each other, and why a site waits", () => {
  const lines = plain(formatQueue(queue, 160, nowMs));
  expect(lines[0]).toBe(
    "12,345 wait: 12,000 due, 345 later · oldest 2 h · 40 in hand over 20 connections · last minute 1,200 delivered, 30 deferred, 2 bounced · 2 mta processes",
  );
  expect(lines[1]).toBe("transactional 45 · bulk 12,300");
  const [title = "", google = "", why, other = ""] = lines.slice(3);
  expect(title.indexOf("WAIT") + 4).toBe(google.indexOf("12,000") + 6);
  expect(other.indexOf(" 345 ") + 4).toBe(google.indexOf("12,000") + 6);
  expect(google).toEndWith("✗ suspended for 20 min");
  expect(title.indexOf("HAND") + 4).toBe(other.indexOf(" 40 ") + 3);
  expect(why).toContain("421 4.7.0 Try again later");
  expect(lines.at(-1)).toBe("and 11 more in 7 rows: --limit shows more");
});

test("on a narrow terminal no line is wider than it", () => {
  for (const columns of [60, 72, 80])
    for (const line of plain(formatQueue(queue, columns, nowMs)))
      expect({ columns, line, fits: Bun.stringWidth(line) <= columns }).toEqual({
        columns,
        line,
        fits: true,
      });
});

test("a suspension whose time has come says what ends it", () => {
  const [row] = queue.rows;
  const rows = row === undefined ? [] : [{ ...row, until: at(-1) }];
  expect(plain(formatQueue({ ...queue, rows }, 160, nowMs)).join("\n")).toContain(
    "suspended, the next one asks",
  );
});

test("an empty queue says so", () => {
  const total = { ...{ entries: 0, ready: 0, later: 0, in_hand: 0, connections: 0 }, last_minute: minute };
  const { rest: _, ...empty } = { ...queue, rows: [], classes: [], total };
  expect(plain(formatQueue(empty, 100, nowMs))[0]).toStartWith("✓ nothing waits");
});

test("a dry run shows some entries and says how many more; what was left alone is told", () => {
  const sample = {
    ...{ message_id: "m", recipient: "bob@example.org", organization_id: "acme", site: "google", attempt: 3 },
    ...{ accepted_at: at(-60_000), next_at: at(240_000) },
  };
  const acted = {
    action: "bounce" as const,
    dry_run: true,
    matched: 2_000,
    touched: 0,
    in_hand: 0,
    sample: [sample],
    next_cursor: null,
  };
  expect(plain(formatActed(acted, nowMs))).toEqual([
    "2,000 entries would be given up",
    "  bob@example.org  at google, attempt 3, 1 min old  next in 4 min",
    "  … and 1,999 more",
  ]);
  expect(plain(formatActed({ ...acted, dry_run: false, touched: 1_999, in_hand: 1 }, nowMs))).toEqual([
    "✓ 1,999 entries given up; 1 entry being sent at this moment left alone",
  ]);
});

test.each([
  ["requeue --site google --pool spare", "--pool means nothing"],
  ["--why because", '--why means nothing to "tyto queue"'],
  ["release --everything --site google", "everything, or only a part by --site?"],
  ["bounce --everything --why x", "--everything means nothing"],
])("what would be ignored is refused: %s", async (line, message) => {
  const options = ["--url", "http://127.0.0.1:1", "--key", "a key of the test"];
  await expect(command.run([...line.split(" "), ...options])).rejects.toThrow(message);
});

test("a trial of releasing everything releases nothing", async () => {
  const asked: string[] = [];
  const hold = {
    ...{ key: "everything:*", scope: "everything", id: "*", why: "stop", by: "root" },
    since: at(0),
  };
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      asked.push(`${request.method} ${new URL(request.url).pathname}`);
      return Response.json(request.method === "GET" ? { data: [hold] } : { key: hold.key, was_held: true });
    },
  });
  const release = ["release", "--everything", "--url", String(server.url), "--key", "a key of the test"];
  try {
    await command.run([...release, "--dry-run"]);
    expect(asked.filter((one) => !one.startsWith("GET"))).toEqual([]);
    await command.run([...release, "--yes"]);
    expect(asked.filter((one) => !one.startsWith("GET"))).toEqual(["DELETE /v1/holds/everything%3A*"]);
  } finally {
    await server.stop(true);
  }
});

test("times are written with a unit", () => {
  expect(["90s", "15m", "2h", "3d"].map(seconds)).toEqual([90, 900, 7_200, 259_200]);
  for (const text of ["", "2", "h", "-1h", "1w"]) expect(() => seconds(text)).toThrow("is not a time");
});

test("a site is told with its servers, limits, what waits, and what it answered last", () => {
  const lines = plain(
    formatSite(
      {
        ...{ domain: "example.org", site: "google", provider: "google", holds: [] },
        measures: [
          {
            ...{ key: "switch-pool:mail1/google", action: "switch-pool", rule: "listed", site: "google" },
            ...{
              egress: "mail1",
              pool: "spare",
              why: "On a list: 554",
              since: at(-60_000),
              until: at(3_600_000),
            },
          },
        ],
        hosts: [
          { name: "mx1.google.com", port: 25, addresses: ["192.0.2.1", "192.0.2.2"] },
          { name: "mx2.google.com", port: 25, addresses: [], trouble: "no address" },
        ],
        policies: [{ name: "MTA-STS", say: "enforced", until: at(86_400_000) }],
        ceiling: { rate_per_minute: 1_300, connections: 5 },
        state: {
          ...{
            site: "google",
            state: "slowed",
            why: "451 slow down",
            connections: 2,
            in_hand: 3,
            last_minute: minute,
          },
          limits: [
            { egress: "a", state: "slowed", connections: 2, connections_max: 5, rate_per_minute_max: 50 },
            { egress: "b", state: "suspended", why: "554 listed", pool: "warm" },
          ],
        },
        waiting: { entries: 3, ready: 1, later: 2, oldest_at: at(-60_000), next_at: at(60_000) },
        replies: [
          {
            at: at(-5_000),
            outcome: "deferred",
            reason: "rate.limited",
            reply: "451 slow down",
            mx: "mx1.google.com",
            ip: "192.0.2.1",
            domain: "example.org",
            times: 4,
          },
        ],
      },
      100,
      nowMs,
    ),
  );
  for (const part of [
    "example.org  site google",
    "! mail of mail1 to google leaves by the pool spare for 1 h  On a list: 554 (rule:listed, 1 min ago; ends with tyto queue release --hold switch-pool:mail1/google)",
    "  mx1.google.com  192.0.2.1 192.0.2.2",
    "  mx2.google.com  ✗ no address",
    "  MTA-STS: enforced, known for 1 d more",
    "  ! slowed, 3 in hand over 2 connections",
    "  ! a  slowed     2 of 5 connections  50/min at most  ",
    "    b: 554 listed",
    "  by itself at most 1,300/min over 5 connections from each address",
    "  3: 1 due, 2 later, oldest 1 min, next in 1 min",
    "  ! 5.0 s ago  4 times  rate.limited  mx1.google.com [192.0.2.1]",
    "      451 slow down",
  ])
    expect(lines).toContain(part);
});

test("a site that no server was found for tells what was tried instead", () => {
  const tried = {
    ...{ at: at(-300_000), outcome: "deferred" as const, reason: "network.dns", domain: "gone.example" },
    ...{ reply: "no answer from DNS about gone.example", times: 3 },
  };
  const site = {
    ...{ domain: "gone.example", trouble: "no answer from DNS", hosts: [], policies: [], holds: [] },
    ...{
      ceiling: { connections: 1 },
      measures: [],
      waiting: { entries: 1, ready: 0, later: 1 },
      replies: [tried],
    },
  };
  const lines = plain(formatSite(site, 120, nowMs));
  expect(lines).toContain(
    "  ✗ 3 attempts ended before a server was asked, the last 5 min ago: no answer from DNS about gone.example",
  );
  expect(lines).toContain("  ! 5 min ago  3 times  network.dns");
  expect(lines).toContain("  by itself at most 1 connection from each address");
  expect(plain(formatSite({ ...site, replies: [] }, 120, nowMs))).toContain(
    "  nothing was sent there since the mta started",
  );
});

test("sessions of a live trace are told apart, and named once", () => {
  const format = createFormat();
  const line = { at: at(0), process: "01abcd", host: "mx.test", ip: "192.0.2.1", side: ">" as const };
  expect(
    plain([
      ...format({ ...line, session: "1", text: "EHLO a" }),
      ...format({ ...line, session: "2", text: "EHLO b" }),
      ...format({ ...line, session: "1", text: "MAIL" }),
    ]),
  ).toEqual([
    "── abcd.1 mx.test [192.0.2.1]",
    "12:00:00.000 abcd.1 > EHLO a",
    "── abcd.2 mx.test [192.0.2.1]",
    "12:00:00.000 abcd.2 > EHLO b",
    "12:00:00.000 abcd.1 > MAIL",
  ]);
});

test("events are read however they are cut", async () => {
  const text = ': hello\n\nevent: line\ndata: {"a":"ü"}\n\nevent: end\ndata: {"why":"x"}\n\n';
  const bytes = new TextEncoder().encode(text);
  for (const size of [1, 7, 1_000]) {
    const body = new ReadableStream<Uint8Array>({
      start(stream) {
        for (let from = 0; from < bytes.length; from += size)
          stream.enqueue(bytes.subarray(from, from + size));
        stream.close();
      },
    });
    const events: unknown[] = [];
    for await (const event of eventsOf(body, new AbortController().signal)) events.push(event);
    expect(events).toEqual([
      { name: "line", data: { a: "ü" } },
      { name: "end", data: { why: "x" } },
    ]);
  }
});

test.each([
  ["--rate 60/min", "for how long?"],
  ["--for 2h", "which limits?"],
  ["--above-ceiling", "which limits?"],
  ["--release --rate 60/min", "set limits, or release them?"],
  ["--rate sixty --for 2h", "--rate: must be like 60/min"],
  ["--connections two --for 2h", "no number of connections"],
  ["--connections 2001 --for 2h", "--connections: "],
  ["--rate 60/min --for 2d", "--for: "],
  ["--rate 60/min --for 30s", "--for: "],
])("limits that make no sense are refused before anything is asked: %s", async (line, message) => {
  const options = ["--url", "http://127.0.0.1:1", "--key", "a key of the test"];
  await expect(site.run(["google", ...line.split(" "), ...options])).rejects.toThrow(message);
});

test("limits are set for a time and released, and told with who, why and until when", async () => {
  const asked: unknown[] = [];
  const limits = { rate: "60/min", connections: 2, for_s: 7_200, why: "they asked" };
  const now = Date.now();
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const body = request.method === "PUT" ? await request.json() : undefined;
      asked.push([request.method, new URL(request.url).pathname, body]);
      if (request.method === "DELETE")
        return Response.json({ key: "limit:google", was_held: true, asked: true });
      return Response.json({
        ...{ key: "limit:google", action: "limit", site: "google", rate: "60/min", connections_max: 2 },
        ...{ why: "they asked", by: "ann", since: new Date(now).toISOString() },
        until: new Date(now + 7_200_000).toISOString(),
      });
    },
  });
  const to = ["--url", String(server.url), "--key", "a key of the test"];
  try {
    const set = ["--rate", "60/min", "--connections", "2", "--for", "2h", "--why", "they asked"];
    expect(await site.run(["google", ...set, ...to])).toBe(0);
    expect(await site.run(["google", "--release", ...to])).toBe(0);
  } finally {
    await server.stop(true);
  }
  expect(asked).toEqual([
    ["PUT", "/v1/sites/google/limits", { ...limits, above_ceiling: false }],
    ["DELETE", "/v1/sites/google/limits", undefined],
  ]);
  const measure = {
    ...{ key: "limit:google", action: "limit" as const, site: "google", rate: "60/min", connections_max: 1 },
    ...{ why: "they asked", by: "ann", since: at(-60_000), until: at(3_600_000) },
  };
  expect(plain([formatMeasure(measure, nowMs)])).toEqual([
    "! google gets at most 60/min and 1 connection from each address for 1 h  they asked (ann, 1 min ago; ends with tyto site google --release)",
  ]);
});

test.each([
  [59_000, "59 s"],
  [299_000, "5 min"],
  [5_400_000, "1 h 30 min"],
  [7_198_000, "2 h"],
  [90_000_000, "1 d 1 h"],
])("of %p ms %p are left", (ms, text) => {
  expect(until(at(ms), nowMs)).toBe(text);
});
