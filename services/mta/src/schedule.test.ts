import { expect, test } from "bun:test";
import type { Reason, Reply } from "@tyto/contracts";
import { retryAt, waitAsked } from "./schedule.ts";

const minuteMs = 60_000;
const middle = () => 0.5;
const waitMs = (attempt: number, reason: Reason, reply?: Reply, random: () => number = middle) =>
  retryAt(attempt, reason, reply, 1_000_000, random, 5 * minuteMs) - 1_000_000;
const said = (text: string): Reply => ({ code: 451, text });

test("the wait doubles with each attempt up to four hours", () => {
  expect([1, 2, 3, 6, 7, 20].map((attempt) => waitMs(attempt, "receiver.busy") / minuteMs)).toEqual([
    5, 10, 20, 160, 240, 240,
  ]);
});

test("a greylist is asked soon, just after five minutes, and at a steady pace before the wait grows", () => {
  expect([1, 2, 3, 4, 5, 6].map((attempt) => waitMs(attempt, "greylisted") / minuteMs)).toEqual([
    2, 4, 5, 5, 10, 20,
  ]);
});

test("a policy is asked slowly, a limit later than trouble that passes", () => {
  expect(waitMs(1, "policy.refused")).toBe(30 * minuteMs);
  expect(waitMs(1, "rate.limited")).toBe(15 * minuteMs);
});

test("limits and full mailboxes wait longer from the start", () => {
  expect(waitMs(1, "rate.limited")).toBeGreaterThan(waitMs(1, "receiver.busy"));
  expect(waitMs(1, "mailbox.full")).toBeGreaterThan(waitMs(1, "rate.limited"));
});

test("retries are spread by 15 percent both ways", () => {
  expect(waitMs(1, "receiver.busy", undefined, () => 0)).toBe(5 * minuteMs * 0.85);
  expect(waitMs(1, "receiver.busy", undefined, () => 0.9999999)).toBeCloseTo(5 * minuteMs * 1.15, -1);
});

test("what the receiver asks for is honoured, and never undercut", () => {
  const reply = said("Greylisted, please try again in 45 minutes");
  expect(waitMs(1, "greylisted", reply, () => 0)).toBe(45 * minuteMs);
  expect(waitMs(1, "greylisted", reply, () => 0.999)).toBeLessThan(52 * minuteMs);
});

test("a hint is bounded both ways, and ignored once it was repeated for long", () => {
  expect(waitMs(1, "greylisted", said("try again in 1 second"), () => 0)).toBe(10_000);
  expect(waitMs(1, "rate.limited", said("try again in 90 hours"), () => 0)).toBe(240 * minuteMs);
  expect(waitMs(7, "receiver.busy", said("try again in 60 seconds"))).toBe(240 * minuteMs);
});

test.each<[string, number | undefined]>([
  ["4.7.1 Greylisted, try again in 300 seconds", 300_000],
  ["Please retry in 5 min", 5 * minuteMs],
  ["Temporarily deferred. Try again in 2 hours.", 120 * minuteMs],
  ["come back in 00:04:59", 299_000],
  ["Recipient address rejected: Greylisted for 60 seconds (see http://x.example)", 60_000],
  ["delayed for 10m", 10 * minuteMs],
  ["too many messages, wait 30s please", 30_000],
  ["Greylisting in Aktion, bitte in 5 Minuten erneut versuchen", 5 * minuteMs],
  ["Bitte versuchen Sie es in 2 Stunden wieder", 120 * minuteMs],
  ["Graylisted - come back in 4 minutes", 4 * minuteMs],
  ["Liste grise, veuillez réessayer dans 300 secondes", 5 * minuteMs],
  ["Lista gris, por favor reinténtelo en 10 minutos", 10 * minuteMs],
  ["Lista cinza: tente novamente em 5 minutos", 5 * minuteMs],
  ["Riprovare tra 15 minuti", 15 * minuteMs],
  ["Probeer het over 1 uur opnieuw", 60 * minuteMs],
  ["You have been greylisted, 287 seconds remaining", 287_000],
  ["Please send it again, at least 10 minutes later", 10 * minuteMs],
  ["Too many messages. Please try again in 1 day.", 1_440 * minuteMs],
  ["Greylisting in action, please come back in 00:05:00", 5 * minuteMs],
  ["Greylisted, see http://postgrey.schweikert.ch/help/example.com.html", undefined],
  ["message unable to deliver in 840 minutes", undefined],
  ["Warning: message still undelivered after 4 hours", undefined],
  ["Will keep trying until message is 5 days old", undefined],
  ["try mx2.example.net", undefined],
  ["try again, error 4 mailbox", undefined],
  ["see 10.20.30.40 minutes", undefined],
  ["Try again later", undefined],
  ["Requested action aborted", undefined],
  ["421 4.7.28 rate limited [192.0.2.10 15]", undefined],
  ["try again after the 3rd of May", undefined],
])("%p asks for %p ms", (text, expected) => {
  expect(waitAsked(text)).toBe(expected);
});

test("no text makes the search slow or the wait wrong", () => {
  let state = 7;
  const pieces = [
    "try",
    " again",
    " in ",
    "9",
    "99999999",
    "seconds",
    "h",
    ":",
    "00:",
    "\n",
    " ".repeat(50),
    ".",
    " later",
    "réessayer",
    " dans ",
    "5 Minuten erneut",
  ];
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return pieces[state % pieces.length] ?? "";
  };
  for (let round = 0; round < 5_000; round++) {
    const text = Array.from({ length: 40 }, next).join("");
    const wait = retryAt(1, "greylisted", said(text), 0, middle, 5 * minuteMs);
    expect(wait).toBeGreaterThanOrEqual(10_000 * 0.85);
    expect(wait).toBeLessThanOrEqual(240 * minuteMs * 1.15);
  }
});
