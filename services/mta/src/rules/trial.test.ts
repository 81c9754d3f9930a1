import { expect, test } from "bun:test";
import { Rule } from "./rule.ts";
import { createTrial, type TrialEvent, tryRules } from "./trial.ts";

const rule = (more: Record<string, unknown>) =>
  Rule.parse({
    id: "slow",
    about: "It wants less",
    when: { pattern: "slow down" },
    threshold: { count: 2, withinS: 60 },
    action: "suspend-site",
    forS: 600,
    ...more,
  });

const messageId = "01ke70ehg0abcdefghjkmnpqrs";
const deferred = (second: number, more: Record<string, unknown> = {}) =>
  ({
    subject: "mail.deferred",
    payload: {
      ...{
        id: `${second}`,
        at: second * 1_000,
        organizationId: "default",
        messageId,
        deliveryId: `${messageId}-0`,
      },
      ...{ recipient: "bob@example.net", attempt: 1, reason: "rate.limited", nextAttemptAt: 0 },
      reply: { code: 421, text: "slow down" },
      conversation: {
        mx: "mta5.am0.yahoodns.net",
        ip: "192.0.2.25",
        tls: null,
        reused: false,
        durationMs: 1,
      },
      ...more,
    },
  }) as unknown as TrialEvent;
const bounced = (second: number, more: Record<string, unknown>) =>
  ({
    ...deferred(second, { source: "smtp", reply: { code: 550, text: "slow down" }, ...more }),
    subject: "mail.bounced",
  }) as TrialEvent;
const accepted = {
  subject: "mail.accepted",
  payload: { messageId, campaign: "spring" },
} as unknown as TrialEvent;

test("a trial tells what each rule would have done to past events, also one that is switched off", () => {
  const trial = createTrial([
    rule({ enabled: false }),
    rule({ id: "never", when: { pattern: "plenty" } }),
    rule({ id: "hold", action: "hold-campaign" }),
  ]);
  // Events of one subject come in their order, those of several do not.
  for (const event of [accepted, deferred(700), deferred(701), deferred(0), deferred(5), deferred(6)])
    trial.feed(event);
  expect(trial.result().trials).toEqual([
    {
      rule: "slow",
      matched: 5,
      fired: 2,
      actions: [
        { atMs: 5_000, say: "suspend-site yahoo: It wants less (2 times): 421 slow down" },
        { atMs: 701_000, say: "suspend-site yahoo: It wants less (2 times): 421 slow down" },
      ],
    },
    { rule: "never", matched: 0, fired: 0, actions: [] },
    { rule: "hold", matched: 5, fired: 2, actions: [expect.anything(), expect.anything()] },
  ]);
});

test("what a report told, and what we gave up ourselves, is no evidence", () => {
  const trial = createTrial([rule({ threshold: "immediate" })]);
  trial.feed(bounced(1, { source: "dsn" }));
  trial.feed(bounced(2, { reply: { code: 421, text: "slow down" } }));
  trial.feed(deferred(3, { conversation: undefined }));
  expect(trial.result().trials).toMatchObject([{ matched: 0, fired: 0 }]);
  trial.feed(bounced(4, {}));
  expect(trial.result().trials).toMatchObject([{ matched: 1, fired: 1 }]);
});

test("the first twenty actions are shown, all are counted", () => {
  const trial = createTrial([rule({ threshold: "immediate", forS: 30 })]);
  for (let i = 0; i < 100; i++) trial.feed(deferred(i * 60));
  const [result] = trial.result().trials;
  expect(result?.fired).toBe(100);
  expect(result?.actions).toHaveLength(20);
});

test("more matches than are kept are told", () => {
  const trial = createTrial([rule({ threshold: "immediate" })]);
  for (let i = 0; i < 50_007; i++) trial.feed(deferred(i));
  expect(trial.result()).toMatchObject({
    events: 50_007,
    trials: [{ matched: 50_000 }],
    problems: ["7 further replies matched and were left out: try a shorter time"],
  });
});

test("the question of an operator is answered with rules as they were written, and what is wrong with the others", async () => {
  const asked: unknown[] = [];
  const answer = tryRules(
    async (subjects, range, onEvent) => {
      asked.push(subjects, range);
      onEvent(deferred(1) as never);
    },
    [rule({ threshold: "immediate" })],
  );
  expect(await answer({ sinceMs: 5 })).toMatchObject({
    events: 1,
    trials: [{ rule: "slow", fired: 1 }],
    problems: [],
  });
  expect(asked[1]).toMatchObject({ sinceMs: 5 });
  const draft = { ...rule({ threshold: "immediate" }), id: "draft" };
  expect(await answer({ sinceMs: 0, rules: [draft, { ...draft, id: "bad", forS: 1 }] })).toMatchObject({
    trials: [{ rule: "draft", fired: 1 }],
    problems: [expect.stringContaining("bad.forS")],
  });
});

const delivered = (second: number) => ({ ...deferred(second), subject: "mail.delivered" }) as TrialEvent;

test("a trial of a rule by share counts what was taken, too, and its matches apart", () => {
  const trial = createTrial([
    rule({ id: "share", threshold: { share: 0.5, attemptsMin: 10, withinS: 100 } }),
    rule({ id: "count", threshold: { count: 5, withinS: 100 } }),
  ]);
  // As they are read: what was taken comes after all that was put off.
  for (let n = 0; n < 5; n++) trial.feed(deferred(5 + n));
  for (let n = 0; n < 5; n++) trial.feed(delivered(n));
  expect(trial.result()).toEqual({
    events: 10,
    trials: [
      {
        ...{ rule: "share", matched: 5, fired: 1 },
        actions: [
          { atMs: 9_000, say: "suspend-site yahoo: It wants less (5 of 10 attempts): 421 slow down" },
        ],
      },
      expect.objectContaining({ rule: "count", matched: 5, fired: 1 }),
    ],
    problems: [],
  });
});
