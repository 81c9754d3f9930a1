import { expect, test } from "bun:test";
import type { Payload } from "@tyto/contracts";
import { lateBounce, noon, permutations, sample } from "../samples.testing.ts";
import { type Claim, claims, replyLine, untouched, withClaim } from "./delivery.ts";
import { deliveryState } from "./shapes.ts";

const deferred = (attempt: number) =>
  claims["mail.deferred"](
    sample("mail.deferred", { id: `d.${attempt}.deferred`, attempt, at: noon + attempt * 1_000 }).payload,
  );
const delivered = claims["mail.delivered"](sample("mail.delivered").payload);
const bounced = claims["mail.bounced"](sample("mail.bounced").payload);
const reported = claims["mail.bounced"](lateBounce().payload);
const softly = claims["mail.bounced"](
  lateBounce({
    ...{ id: "soft.dsn", at: noon + 990_000, reason: "mailbox.full", hard: false },
    reply: { code: 552, enhanced: "5.2.2", text: "Mailbox full" },
  }).payload,
);
const guessed = claims["mail.bounced"](
  lateBounce({
    ...{ id: "guess.dsn", at: noon + 980_000, confidence: 0.5 },
    ...{ reply: undefined, explanation: "we have nobody of that name" },
  }).payload,
);
const suppressed = claims["mail.suppressed"](sample("mail.suppressed").payload);

const after = (claims: readonly Claim[]) => claims.reduce(withClaim, untouched(noon));

/** What happened to a recipient, whatever order it is told in, and where the recipient stands then. */
const histories: { name: string; told: Claim[]; outcome: string; attempts: number; reply?: string }[] = [
  { name: "nothing", told: [], outcome: "waiting", attempts: 0 },
  { name: "one deferral", told: [deferred(1)], outcome: "deferred", attempts: 1 },
  {
    name: "three deferrals",
    told: [deferred(1), deferred(2), deferred(3)],
    outcome: "deferred",
    attempts: 3,
  },
  { name: "delivered at once", told: [delivered], outcome: "delivered", attempts: 2 },
  { name: "deferred, then delivered", told: [deferred(1), delivered], outcome: "delivered", attempts: 2 },
  {
    name: "deferred twice, then bounced",
    told: [deferred(1), deferred(2), bounced],
    outcome: "bounced",
    attempts: 2,
    reply: "550 5.1.1 User unknown",
  },
  {
    name: "delivered, then bounced by a report",
    told: [deferred(1), delivered, reported],
    outcome: "bounced",
    attempts: 2,
  },
  {
    name: "delivered in truth, refused when it was sent again after a crash",
    told: [delivered, bounced],
    outcome: "delivered",
    attempts: 2,
  },
  {
    name: "delivered, bounced for good by a report, then by a soft one",
    told: [delivered, reported, softly],
    outcome: "bounced",
    attempts: 2,
    reply: "550 5.1.1 User unknown",
  },
  {
    name: "delivered, bounced by a guess, then by a report that is sure",
    told: [delivered, guessed, reported],
    outcome: "bounced",
    attempts: 2,
    reply: "550 5.1.1 User unknown",
  },
  {
    name: "delivered in truth, refused for good when it was sent again, then bounced softly by a report",
    told: [delivered, bounced, softly],
    outcome: "bounced",
    attempts: 2,
    reply: "550 5.1.1 User unknown",
  },
  { name: "suppressed", told: [suppressed], outcome: "suppressed", attempts: 0 },
  { name: "deferred, then suppressed", told: [deferred(1), suppressed], outcome: "suppressed", attempts: 1 },
];

for (const { name, told, outcome, attempts, reply } of histories)
  test(`${name}: the recipient is ${outcome} in every order, repeats included`, () => {
    const expected = after(told);
    expect(expected.outcome).toBe(outcome as never);
    expect(expected.attempts).toBe(attempts);
    if (reply !== undefined) expect(expected.reply).toBe(reply);
    for (const order of permutations(told))
      for (const repeats of [order, [...order, ...order], order.flatMap((claim) => [claim, claim])])
        expect(after(repeats)).toEqual(expected);
  });

test("the deciding event's reply, server and next attempt replace those of the event before", () => {
  const state = after([deferred(1), delivered]);
  expect(state).toMatchObject({ reply: "250 2.0.0 Ok: queued as 4F2A", mx: "mx.example.net" });
  expect(state).not.toHaveProperty("nextAttemptAt");
  expect(state).not.toHaveProperty("reason");
});

test("a report names the server that sent it where no conversation was ours", () => {
  expect(reported.mx).toBe("mail.example.net");
});

test("a state has no field that its table does not know", () => {
  const known = Object.keys(deliveryState.fields);
  for (const { told } of histories)
    for (const name of Object.keys(after(told))) expect(known).toContain(name);
});

const replies: [string, Partial<Payload<"mail.deferred">>, string | undefined][] = [
  [
    "code, enhanced code and text",
    { reply: { code: 450, enhanced: "4.2.0", text: "busy" } },
    "450 4.2.0 busy",
  ],
  [
    "an enhanced code in the text once",
    { reply: { code: 450, enhanced: "4.2.0", text: "4.2.0 busy" } },
    "450 4.2.0 busy",
  ],
  ["a reply without text", { reply: { code: 250, text: "" } }, "250"],
  ["our words where there was no reply", { explanation: "connection refused" }, "connection refused"],
  ["nothing where nothing was said", {}, undefined],
];
for (const [name, event, line] of replies)
  test(`a reply line shows ${name}`, () => expect(replyLine(event)).toBe(line as never));
