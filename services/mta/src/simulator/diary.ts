import type { Observation } from "../observation.ts";
import { dateOf } from "../warming/schedule.ts";
import type { Warming } from "../warming/warming.ts";
import type { Receiver } from "./receivers.ts";
import type { Scenario, SimulatedDay, Simulation } from "./scenario.ts";

/** What happened, day by day. */
export class Diary {
  readonly days: SimulatedDay[] = [];
  readonly accepted: number;
  /** Messages that came, and those that are over. */
  arrived = 0;
  over = 0;
  transactionalWaitMsMax = 0;
  readonly #names: readonly string[];
  readonly #totals = { delivered: 0, bounced: 0, expired: 0, deferrals: 0 };
  #today: SimulatedDay;
  #finishedAtMs: number | undefined;
  #warmOnDay: number | undefined;
  #haltedOnDay: number | undefined;

  constructor(names: readonly string[], accepted: number) {
    this.#names = names;
    this.accepted = accepted;
    this.#today = emptyDay(names);
  }

  /** One attempt came to something; `isOver`: its message too. */
  count(provider: string, { atMs, outcome, reason }: Observation, isOver: boolean): void {
    const counted = this.#today.providers[provider];
    if (counted !== undefined) counted[outcome]++;
    this.#today.sent++;
    this.#today[outcome]++;
    if (outcome === "deferred") this.#totals.deferrals++;
    else this.#totals[outcome]++;
    if (reason === "expired") this.#totals.expired++;
    if (isOver && ++this.over === this.accepted) this.#finishedAtMs = atMs;
  }

  /** A provider passed on that a recipient called a message spam. */
  complained(): void {
    this.#today.complaints++;
  }

  endDay(
    nowMs: number,
    statuses: readonly ReturnType<Warming["status"]>[],
    receivers: ReadonlyMap<string, Receiver>,
  ): void {
    const caps = statuses.map((status) => status?.cap);
    const day = this.days.length + 1;
    for (const [name, receiver] of receivers) {
      const counted = this.#today.providers[name];
      if (counted !== undefined) counted.reputation = round(receiver.reputationOf("198.51.100.1"));
    }
    const isHalted = statuses.some((one) => one?.isPaused === true);
    this.days.push({
      ...this.#today,
      day,
      date: dateOf(nowMs - 1),
      cap: caps.includes(undefined) ? undefined : caps.reduce<number>((sum, cap) => sum + (cap ?? 0), 0),
      waiting: this.arrived - this.over,
      isHalted,
      say: statuses[0]?.say ?? "",
    });
    if (caps.every((cap) => cap === undefined)) this.#warmOnDay ??= day;
    if (isHalted) this.#haltedOnDay ??= day;
    this.#today = emptyDay(this.#names);
  }

  /** All of it, at the end. */
  close(scenario: Scenario, startedAtMs: number): Simulation {
    const [finishedAtMs, warmOnDay, haltedOnDay] = [this.#finishedAtMs, this.#warmOnDay, this.#haltedOnDay];
    return {
      scenario,
      days: this.days,
      startedAtMs,
      ...(finishedAtMs === undefined ? {} : { finishedAtMs }),
      ...(warmOnDay === undefined ? {} : { warmOnDay }),
      ...(haltedOnDay === undefined ? {} : { haltedOnDay }),
      totals: { ...this.#totals, accepted: this.accepted, waiting: this.accepted - this.over },
      transactionalWaitMsMax: this.transactionalWaitMsMax,
    };
  }
}

const emptyDay = (names: readonly string[]): SimulatedDay => ({
  ...{
    day: 0,
    date: "",
    cap: undefined,
    sent: 0,
    delivered: 0,
    deferred: 0,
    bounced: 0,
    waiting: 0,
    complaints: 0,
    isHalted: false,
    say: "",
  },
  providers: Object.fromEntries(
    names.map((name) => [name, { delivered: 0, deferred: 0, bounced: 0, reputation: 0 }]),
  ),
});

const round = (value: number) => Math.round(value * 100) / 100;
