import { describe, expect, test } from "bun:test";
import {
  Address,
  DeliveryId,
  defaultOrganization,
  type Hold,
  holdKey,
  messageIdOf,
  newMessageId,
  type Reason,
  reasons,
} from "@tyto/contracts";
import { type Feedback, reportOf } from "../feedback.ts";
import type { NewHold } from "../holds/holds.ts";
import type { Observation } from "../observation.ts";
import { createBreakers } from "./breakers.ts";
import { storeOf } from "./testing.ts";

const minuteMs = 60_000;

function setup(store = storeOf()) {
  const clock = { nowMs: 1_800_000_000_000 };
  const held: NewHold[] = [];
  const breakers = createBreakers({
    bucket: store.bucket,
    async hold(hold) {
      held.push(hold);
    },
    now: () => clock.nowMs,
    random: () => 0.5,
    log: { warn() {} },
  });
  const entryOf = (campaign?: string) => {
    const deliveryId = DeliveryId.parse(`${newMessageId(clock.nowMs)}-0`);
    return {
      deliveryId,
      messageId: messageIdOf(deliveryId),
      organizationId: defaultOrganization,
      recipient: Address.parse("bob@example.net"),
      attempt: 1,
      ...(campaign === undefined ? {} : { campaign }),
    };
  };
  const see = (
    outcome: Observation["outcome"],
    reason?: Reason,
    entry = entryOf(),
    more: Partial<Observation> = {},
  ) => {
    breakers.see({
      atMs: clock.nowMs,
      entry,
      site: { id: "google" },
      egress: { id: "192.0.2.1" },
      outcome,
      ...(reason === undefined ? {} : { reason, hard: outcome === "bounced" && reasons[reason].hard }),
      ...more,
    });
    return entry;
  };
  let reports = 0;
  const hear = (feedback: Feedback) => {
    const report = reportOf(feedback);
    return report === undefined ? undefined : breakers.hear(report);
  };
  const complain = (messageId: string, feedback: "abuse" | "not-spam" | "opt-out" = "abuse") =>
    hear({
      complained: { id: `r${reports++}`, messageId, organizationId: defaultOrganization, feedback },
    } as Feedback);
  const holdOf = (hold: NewHold): Hold => ({ ...hold, key: holdKey(hold), sinceMs: clock.nowMs });
  store.join(breakers);
  return { clock, held, breakers, see, hear, complain, entryOf, holdOf };
}

const times = (count: number, what: () => void) => {
  for (let i = 0; i < count; i++) what();
};

describe("bounces", () => {
  test("of more than 7 unknown recipients among 50 hold the organisation, with words that say what to do", () => {
    const { see, held, clock } = setup();
    times(30, () => see("delivered"));
    times(7, () => see("bounced", "mailbox.unknown"));
    expect(held).toEqual([]);
    see("bounced", "domain.unknown");
    expect(held).toEqual([
      {
        scope: "organization",
        id: "default",
        by: "breaker:bounces",
        why: "8 of the last 38 recipients do not exist (at most 7 of 50): check where the addresses come from",
        untilMs: clock.nowMs + 30 * minuteMs,
      },
    ]);
  });

  test.each<Reason>([
    "mailbox.full",
    "network.unreachable",
    "reputation.listed",
    "content.refused",
    "expired",
    "policy.refused",
    "unclear",
  ])("for %p count neither for nor against the sender", (reason) => {
    const { see, held, breakers } = setup();
    times(200, () => see("bounced", reason));
    times(200, () => see("deferred", reason));
    expect(held).toEqual([]);
    expect(breakers.status().every(({ bounceRate }) => bounceRate === undefined)).toBe(true);
  });

  test("that a rule made do not count", () => {
    const { see, held } = setup();
    times(200, () => see("bounced", "mailbox.unknown", undefined, { madeBy: "rule" }));
    expect(held).toEqual([]);
  });

  test("at two percent never hold, in 200,000 messages", () => {
    const { see, held, entryOf } = setup();
    const entry = entryOf("spring");
    let state = 3;
    times(200_000, () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      if (state / 2 ** 32 < 0.02) see("bounced", "mailbox.unknown", entry);
      else see("delivered", undefined, entry);
    });
    expect(held).toEqual([]);
  });

  test("that a report tells later count, unless the report's reason is a guess or it tells of ourselves", () => {
    const { hear, held, see } = setup();
    times(40, () => see("delivered"));
    let reports = 0;
    const aboutOne = { deliveryId: "01ke70ehg0abcdefghjkmnpqrs-0" };
    const tell = (more: object) =>
      void hear({
        bounced: {
          ...{ id: `late${reports}`, deliveryId: `01ke70ehg0abcdefghjkmnpqrs-${++reports}` },
          ...{ messageId: "01ke70ehg0abcdefghjkmnpqrs", source: "dsn", hard: true },
          ...{ organizationId: defaultOrganization, recipient: "ann@example.net" },
          ...{ reason: "mailbox.unknown", confidence: 0.9 },
          ...more,
        },
      } as Feedback);
    times(20, () => tell({ confidence: 0.3 }));
    times(20, () => tell({ source: "smtp", confidence: 1 }));
    times(20, () => tell({ hard: false }));
    // A delivery bounces once, however much better each report knows it.
    times(10, () => tell({ ...aboutOne, confidence: 0.5 }));
    times(10, () => tell(aboutOne));
    expect(held).toEqual([]);
    times(7, () => tell({}));
    expect(held).toHaveLength(1);
  });
});

describe("a campaign", () => {
  test("is held for itself: the organisation's other mail goes on", () => {
    const { see, held, breakers, entryOf } = setup();
    times(8, () => see("bounced", "mailbox.unknown", entryOf("spring")));
    expect(held.map(({ scope, id }) => [scope, id])).toEqual([["campaign", "default/spring"]]);
    times(40, () => see("delivered"));
    times(3, () => see("bounced", "mailbox.unknown"));
    expect(held).toHaveLength(1);
    expect(breakers.status()).toContainEqual(
      expect.objectContaining({ scope: "organization", state: "closed" }),
    );
  });

  test("one of many bad ones: the organisation is held before any of them", () => {
    const { see, held, entryOf } = setup();
    times(4, () => {
      see("bounced", "mailbox.unknown", entryOf("spring"));
      see("bounced", "mailbox.unknown", entryOf("summer"));
    });
    expect(held.map(({ scope }) => scope)).toEqual(["organization"]);
  });

  test("is what a complaint counts for, as long as its message is remembered", () => {
    const { see, held, complain, entryOf } = setup();
    for (let i = 0; i < 3; i++) complain(see("delivered", undefined, entryOf("spring")).messageId);
    expect(held.map(({ scope, id, by }) => [scope, id, by])).toEqual([
      ["campaign", "default/spring", "breaker:complaints"],
    ]);
  });
});

describe("complaints", () => {
  test("of three among fifty hold for hours; not-spam and opt-out do not count", () => {
    const { see, held, complain, clock } = setup();
    times(40, () => see("delivered"));
    times(10, () => complain("01ke70ehg0abcdefghjkmnpqrs", "not-spam"));
    times(10, () => complain("01ke70ehg0abcdefghjkmnpqrs", "opt-out"));
    times(2, () => complain("01ke70ehg0abcdefghjkmnpqrs"));
    expect(held).toEqual([]);
    complain("01ke70ehg0abcdefghjkmnpqrs");
    expect(held[0]).toMatchObject({
      by: "breaker:complaints",
      why: expect.stringContaining("3 complaints about the last 40 messages"),
      untilMs: clock.nowMs + 240 * minuteMs,
    });
  });
});

describe("after a hold", () => {
  const opened = () => {
    const all = setup();
    times(8, () => all.see("bounced", "mailbox.unknown"));
    return all;
  };

  test("five messages at a time are on trial until fifty are known to be well", () => {
    const { clock, breakers, see, entryOf } = opened();
    clock.nowMs += 30 * minuteMs;
    const trials = Array.from({ length: 5 }, () => entryOf());
    for (const entry of trials) expect(breakers.leave(entry).kind).toBe("go");
    expect(breakers.leave(entryOf())).toMatchObject({
      kind: "wait",
      why: expect.stringContaining("a few messages at a time"),
    });
    const [first] = trials;
    if (first === undefined) throw new Error("there are five");
    // Asking again is no second message.
    expect(breakers.leave(first).kind).toBe("go");
    see("delivered", undefined, first);
    expect(breakers.leave(entryOf()).kind).toBe("go");
    times(50, () => see("delivered"));
    times(20, () => expect(breakers.leave(entryOf()).kind).toBe("go"));
  });

  test("a trial whose end nobody told makes room after a quarter of an hour", () => {
    const { clock, breakers, entryOf } = opened();
    clock.nowMs += 30 * minuteMs;
    times(5, () => breakers.leave(entryOf()));
    expect(breakers.leave(entryOf()).kind).toBe("wait");
    clock.nowMs += 15 * minuteMs;
    expect(breakers.leave(entryOf()).kind).toBe("go");
  });

  test("trouble again holds twice as long, up to a day", () => {
    const { clock, held, see } = opened();
    for (let round = 0; round < 8; round++) {
      clock.nowMs = held.at(-1)?.untilMs ?? 0;
      times(8, () => see("bounced", "mailbox.unknown"));
    }
    const lengths = held.map(
      ({ untilMs = 0 }, index) =>
        (untilMs - (index === 0 ? 1_800_000_000_000 : (held[index - 1]?.untilMs ?? 0))) / minuteMs,
    );
    expect(lengths).toEqual([30, 60, 120, 240, 480, 960, 1_440, 1_440, 1_440]);
  });

  test("what was under way when it began opens nothing again", () => {
    const { clock, held, see } = opened();
    times(100, () => see("bounced", "mailbox.unknown"));
    clock.nowMs += 30 * minuteMs;
    see("bounced", "mailbox.unknown");
    expect(held).toHaveLength(1);
  });

  test("that a person lifted, all leave at once", () => {
    const { breakers, held, entryOf, holdOf } = opened();
    const [hold] = held;
    if (hold === undefined) throw new Error("it is held");
    breakers.released(holdOf(hold));
    times(20, () => expect(breakers.leave(entryOf()).kind).toBe("go"));
    expect(breakers.status().map(({ state }) => state)).toEqual(["closed"]);
  });
});

test("a new process counts on where the earlier one stopped, and may count all of it as one", async () => {
  const store = storeOf();
  const first = setup(store);
  times(30, () => first.see("delivered"));
  times(7, () => first.see("bounced", "mailbox.unknown"));
  await first.breakers.save();
  expect(store.writes()).toBe(1);
  await first.breakers.save();
  expect(store.writes()).toBe(1);
  const second = setup(store);
  second.see("bounced", "mailbox.unknown");
  expect(second.held).toHaveLength(1);
  expect(second.held[0]?.why).toContain("8 of the last 38 recipients");
});

test("a store that does not answer loses no count, and whoever brought a report brings it again", async () => {
  const store = storeOf();
  const { see, complain, breakers, held } = setup(store);
  times(5, () => see("bounced", "mailbox.unknown"));
  store.isAway = true;
  const heard = complain("01ke70ehg0abcdefghjkmnpqrs");
  await breakers.save();
  expect(await heard).toBe(false);
  store.isAway = false;
  await breakers.save();
  const second = setup(store);
  times(2, () => second.see("bounced", "mailbox.unknown"));
  expect([...held, ...second.held]).toEqual([]);
  second.see("bounced", "mailbox.unknown");
  expect(second.held).toHaveLength(1);
});
