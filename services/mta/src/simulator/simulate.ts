import {
  Address,
  type Conversation,
  type DeliveryId,
  Domain,
  defaultOrganization,
  type MessageId,
  type QueueEntry,
  type WarmingRecord,
} from "@tyto/contracts";
import { createEgresses } from "../egress/egresses.ts";
import type { EgressPlan } from "../egress/plan.ts";
import type { Observation } from "../observation.ts";
import { type Outcome, settle } from "../outcome.ts";
import { createProfiles } from "../shaping/profiles.ts";
import { createShaping } from "../shaping/shaping.ts";
import { dateOf, midnightAfter } from "../warming/schedule.ts";
import { createWarming } from "../warming/warming.ts";
import { Agenda, seeded } from "./agenda.ts";
import { createReceiver, type Manner, manners, type Receiver } from "./receivers.ts";

export type Scenario = {
  days: number;
  /** Messages over all days, as evenly as people work. */
  volume: number;
  /** Parts of the mail by provider, which need not sum up to anything. `other` is everybody else. */
  mix: Readonly<Record<string, number>>;
  ips: number;
  seed: number;
  /** Shares of 0 to 1. */
  transactional: number;
  unknown: number;
  complaints: number;
  /** Takes the place of a receiver's manner from one day to another, counted from 1: bad weather. */
  weather?: { provider: string; fromDay: number; toDay: number; manner: Partial<Manner> };
};

export type ProviderDay = { delivered: number; deferred: number; bounced: number; reputation: number };
export type SimulatedDay = {
  /** From 1. */
  day: number;
  date: string;
  cap: number | undefined;
  sent: number;
  delivered: number;
  deferred: number;
  bounced: number;
  isHalted: boolean;
  /** Accepted by us and not over at the end of the day. */
  waiting: number;
  providers: Record<string, ProviderDay>;
  /** Of the first address, at the end of the day. */
  say: string;
};

export type Simulation = {
  scenario: Scenario;
  days: SimulatedDay[];
  /** When the last message was over; absent when some still waited at the end. */
  finishedAtMs?: number;
  startedAtMs: number;
  /** The first day at whose end every address was warm. */
  warmOnDay?: number;
  haltedOnDay?: number;
  /** `expired` ones are among the bounced. */
  totals: Record<"accepted" | "delivered" | "bounced" | "expired" | "waiting" | "deferrals", number>;
  /** How long a transactional message had waited for its first attempt, at most, when a bulk one to the same site was sent. */
  transactionalWaitMsMax: number;
};

/** A Monday. */
const startMs = Date.UTC(2026, 0, 5);
const dayMs = 86_400_000;
const saveMs = 60_000;
/** Between two messages over one connection. */
const sendMs = 250;
/** Between two messages over all. */
const turnsMs = 10;
/** After midnight UTC. */
const campaignAtMs = 8 * 3_600_000;
const overtakeMs = 120_000;
const expireMs = 5 * dayMs;
const firstWaitMs = 300_000;
const siteConnectionsMax = 20;
/** Sites of everybody else; and lanes of one site, where several addresses share its mail. */
const otherSites = 10;
const lanesPerAddress = 4;

type Traffic = "transactional" | "bulk";
type Message = { entry: QueueEntry; isUnknown: boolean };
type Lane = {
  provider: string;
  site: { id: string; provider?: string };
  traffic: Traffic;
  /** All mail of a lane has the same recipient's name, and so prefers the same address. */
  recipient: Address;
  /** In the order in which it came; before `taken` it is empty. */
  fresh: (Message | undefined)[];
  taken: number;
  again: Message[];
  /** Of a bulk lane: the one with the transactional mail to the same site. */
  ahead?: Lane;
  /** Between two of its messages, so that lanes which wait for the same cap share it by their mail. */
  turnMs: number;
  /** It has a turn coming, at this time. */
  isBusy: boolean;
  nextMs: number;
};
type Happening =
  | { kind: "arrive"; traffic: Traffic; count: number }
  | { kind: "again"; lane: Lane; message: Message }
  | { kind: "turn"; lane: Lane }
  | { kind: "save" };

/**
 * Days of mail from new addresses to receivers that think little of them at first, in virtual time, through the same
 * pools, warming, shaping and retry schedule that the mta sends with. The same scenario gives the same days.
 */
export async function simulate(scenario: Scenario): Promise<Simulation> {
  const random = seeded(scenario.seed);
  let nowMs = startMs;
  const ids = Array.from({ length: scenario.ips }, (_, n) => `ip${n + 1}`);
  const plan: EgressPlan = {
    egresses: ids.map((id, n) => ({
      id,
      localIp: `198.51.100.${n + 1}`,
      ehloName: `${id}.example.com`,
      since: "new",
    })),
    pools: [{ name: "default", members: ids.map((id) => ({ id, weight: 1 })), overflows: false }],
    uses: [],
  };

  const records = new Map<string, { record: WarmingRecord; revision: number }>();
  const warming = createWarming({
    egresses: plan.egresses,
    async update(egress, record, revision) {
      if ((records.get(egress)?.revision ?? 0) !== revision) return undefined;
      records.set(egress, { record, revision: revision + 1 });
      return revision + 1;
    },
  });
  const shaping = createShaping({
    profiles: createProfiles({ connectionsMax: siteConnectionsMax }),
    now: () => nowMs,
    random,
  });
  const egresses = createEgresses({
    plan,
    leave: warming.leave,
    giveBack: warming.giveBack,
    quarantineOf: () => undefined,
  });

  const names = Object.keys(scenario.mix).filter((name) => (scenario.mix[name] ?? 0) > 0);
  const receivers = new Map(names.map((name) => [name, receiverOf(scenario, name, random)]));
  const agenda = new Agenda<Happening>();
  const pick = lanesOf(scenario, names, random);
  const accepted = planArrivals(scenario, agenda, random);

  const endMs = startMs + scenario.days * dayMs;
  const days: SimulatedDay[] = [];
  let today = emptyDay(names);
  let over = 0;
  let arrived = 0;
  let finishedAtMs: number | undefined;
  let warmOnDay: number | undefined;
  let haltedOnDay: number | undefined;
  let transactionalWaitMsMax = 0;
  const totals = { accepted, delivered: 0, bounced: 0, expired: 0, waiting: 0, deferrals: 0 };

  function wake(lane: Lane) {
    if (lane.isBusy) return;
    lane.isBusy = true;
    sleep(lane, nowMs);
  }

  function sleep(lane: Lane, untilMs: number) {
    lane.nextMs = untilMs;
    agenda.add(untilMs, { kind: "turn", lane });
  }

  /** One message of the lane, as far as the gates let it; then the lane's next turn. */
  async function turn(lane: Lane) {
    const message = lane.again.at(-1) ?? lane.fresh[lane.taken];
    if (message === undefined) {
      lane.isBusy = false;
      return;
    }
    const { ahead } = lane;
    if (ahead !== undefined && isDue(ahead, nowMs)) {
      sleep(lane, ahead.nextMs + 1);
      return;
    }
    const { entry } = message;
    const choice = await egresses.choose(entry, lane.site, nowMs);
    if (choice.kind !== "egress") {
      sleep(lane, choice.kind === "wait" ? choice.untilMs : nowMs + saveMs);
      return;
    }
    const key = { egress: choice.egress.id, site: lane.site.id };
    const leave = shaping.leave(key, lane.site.provider, nowMs);
    if (leave.kind === "wait") {
      choice.giveBack();
      sleep(lane, Math.max(leave.untilMs, nowMs + 1));
      return;
    }
    if (lane.again.length > 0) lane.again.pop();
    else {
      lane.fresh[lane.taken++] = undefined;
    }
    const waiting = ahead?.fresh[ahead.taken];
    if (waiting !== undefined)
      transactionalWaitMsMax = Math.max(transactionalWaitMsMax, nowMs - waiting.entry.acceptedAt);
    deliver(lane, message, choice.egress);
    const connections = Math.max(1, shaping.connectionsMax(key, lane.site.provider));
    sleep(lane, nowMs + Math.max(sendMs / connections, lane.turnMs));
  }

  function deliver(lane: Lane, message: Message, egress: { id: string; localIp?: string }) {
    const receiver = receivers.get(lane.provider);
    if (receiver === undefined) return;
    const { entry, isUnknown } = message;
    const reply = receiver.receive(
      { ip: egress.localIp ?? egress.id, id: entry.deliveryId, isUnknown },
      nowMs,
    );
    const conversation: Conversation = {
      mx: manners[lane.provider]?.mx ?? "mx.example.net",
      ip: "203.0.113.25",
      ...{ tls: null, reused: true, durationMs: sendMs },
    };
    const outcome: Outcome =
      reply.code < 300
        ? { kind: "delivered", reply, conversation, dkim: [], returnPath: entry.from }
        : { kind: "refused", reply, conversation };
    const { mark, next } = settle(entry, outcome, { nowMs, random, firstWaitMs });
    const { event } = mark;
    const kind = event.subject.slice("mail.".length) as Observation["outcome"];
    const observation: Observation = {
      ...{ atMs: nowMs, entry, site: lane.site, egress, outcome: kind, reply, conversation },
      ...("reason" in event.payload ? { reason: event.payload.reason } : {}),
      ...("hard" in event.payload ? { hard: event.payload.hard } : {}),
    };
    shaping.see(observation);
    warming.see(observation);

    const counted = today.providers[lane.provider];
    if (counted !== undefined) counted[kind]++;
    today.sent++;
    today[kind]++;
    if (kind === "deferred") totals.deferrals++;
    else totals[kind]++;
    if (observation.reason === "expired") totals.expired++;
    if (next !== undefined)
      agenda.add(next.atMs, { kind: "again", lane, message: { ...message, entry: next.entry } });
    else if (++over === accepted) finishedAtMs = nowMs;
  }

  function endDay() {
    const statuses = ids.map((id) => warming.status(id, nowMs - 1));
    const caps = statuses.map((status) => status?.cap);
    const [status] = statuses;
    const day = days.length + 1;
    for (const [name, receiver] of receivers) {
      const counted = today.providers[name];
      if (counted !== undefined) counted.reputation = round(receiver.reputationOf("198.51.100.1"));
    }
    days.push({
      ...today,
      day,
      date: dateOf(nowMs - 1),
      cap: caps.includes(undefined) ? undefined : caps.reduce<number>((sum, cap) => sum + (cap ?? 0), 0),
      waiting: arrived - over,
      isHalted: statuses.some((one) => one?.isPaused === true),
      say: status?.say ?? "",
    });
    if (warmOnDay === undefined && statuses.every((one) => one?.cap === undefined)) warmOnDay = day;
    if (haltedOnDay === undefined && days.at(-1)?.isHalted === true) haltedOnDay = day;
    today = emptyDay(names);
  }

  agenda.add(startMs, { kind: "save" });
  let dayEndMs = midnightAfter(startMs);
  for (let item = agenda.next(); item !== undefined && item.atMs < endMs; item = agenda.next()) {
    nowMs = Math.max(nowMs, item.atMs);
    while (nowMs >= dayEndMs) {
      const laterMs = nowMs;
      nowMs = dayEndMs;
      endDay();
      dayEndMs += dayMs;
      nowMs = laterMs;
    }
    const { what } = item;
    switch (what.kind) {
      case "save":
        await warming.save(nowMs);
        for (const [id, { record, revision }] of records) warming.restore(id, record, revision);
        if (over < accepted) agenda.add(nowMs + saveMs, what);
        break;
      case "arrive":
        for (let n = 0; n < what.count; n++) {
          const lane = pick(what.traffic);
          const isUnknown = random() < scenario.unknown;
          lane.fresh.push({ entry: entryOf(arrived++, lane, nowMs), isUnknown });
          wake(lane);
        }
        break;
      case "again":
        what.lane.again.push(what.message);
        wake(what.lane);
        break;
      case "turn":
        await turn(what.lane);
        break;
    }
  }
  while (dayEndMs <= endMs) {
    nowMs = dayEndMs;
    endDay();
    dayEndMs += dayMs;
  }
  totals.waiting = accepted - over;
  return {
    scenario,
    days,
    startedAtMs: startMs,
    ...(finishedAtMs === undefined ? {} : { finishedAtMs }),
    ...(warmOnDay === undefined ? {} : { warmOnDay }),
    ...(haltedOnDay === undefined ? {} : { haltedOnDay }),
    totals,
    transactionalWaitMsMax,
  };
}

/** Transactional mail that is about to have a turn overtakes bulk mail to the same site. */
const isDue = ({ fresh, taken, again, isBusy, nextMs }: Lane, nowMs: number) =>
  isBusy && nextMs <= nowMs + overtakeMs && (again.length > 0 || fresh[taken] !== undefined);

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
    isHalted: false,
    say: "",
  },
  providers: Object.fromEntries(
    names.map((name) => [name, { delivered: 0, deferred: 0, bounced: 0, reputation: 0 }]),
  ),
});

function receiverOf({ complaints, weather }: Scenario, name: string, random: () => number): Receiver {
  const manner = manners[name] ?? manners.other;
  if (manner === undefined) throw new TypeError(`there is no receiver ${name}`);
  const fair = createReceiver(manner, complaints, random);
  if (weather?.provider !== name) return fair;
  const foul = createReceiver({ ...manner, ...weather.manner }, complaints, random);
  const isFoul = (nowMs: number) => {
    const day = Math.floor((nowMs - startMs) / dayMs) + 1;
    return day >= weather.fromDay && day <= weather.toDay;
  };
  return {
    receive: (mail, nowMs) => (isFoul(nowMs) ? foul : fair).receive(mail, nowMs),
    reputationOf: fair.reputationOf,
  };
}

/** The lanes, and a way to pick one at random as the mix says. */
function lanesOf({ mix, ips }: Scenario, names: readonly string[], random: () => number) {
  const parts = names.reduce((sum, name) => sum + (mix[name] ?? 0), 0);
  const lanesEach = ips === 1 ? 1 : lanesPerAddress * ips;
  const lanes = names.map((provider) => {
    const sites =
      provider === "other"
        ? Array.from({ length: otherSites }, (_, n) => ({ id: `mx${n + 1}.example.net` }))
        : [{ id: provider, provider }];
    const of = (traffic: Traffic) =>
      sites.flatMap((site) =>
        Array.from(
          { length: lanesEach },
          (_, n): Lane => ({
            ...{ provider, site, traffic, fresh: [], taken: 0, again: [], isBusy: false, nextMs: 0 },
            turnMs: (turnsMs * parts * sites.length * lanesEach) / (mix[provider] ?? 1),
            recipient: Address.parse(`lane${n}@${provider}.example`),
          }),
        ),
      );
    const transactional = of("transactional");
    const bulk = of("bulk").map((lane, n) => ({
      ...lane,
      ...(transactional[n] && { ahead: transactional[n] }),
    }));
    return { part: mix[provider] ?? 0, transactional, bulk };
  });
  return (traffic: Traffic): Lane => {
    let place = random() * parts;
    const chosen =
      lanes.find(({ part }) => {
        place -= part;
        return place < 0;
      }) ?? lanes.at(-1);
    const lane = chosen?.[traffic][Math.floor(random() * chosen[traffic].length)];
    if (lane === undefined) throw new TypeError("the mix names no receiver");
    return lane;
  };
}

/** Bulk mail comes as one campaign each morning, transactional mail at all times. Tells how many messages there will be. */
function planArrivals(
  { days, volume, transactional }: Scenario,
  agenda: Agenda<Happening>,
  random: () => number,
): number {
  let planned = 0;
  for (let day = 0; day < days; day++) {
    const ofDay = Math.round((volume * (day + 1)) / days) - planned;
    planned += ofDay;
    const single = Math.round(ofDay * transactional);
    const dayStartMs = startMs + day * dayMs;
    if (ofDay > single)
      agenda.add(dayStartMs + campaignAtMs, { kind: "arrive", traffic: "bulk", count: ofDay - single });
    for (let n = 0; n < single; n++)
      agenda.add(Math.floor(dayStartMs + random() * dayMs), {
        kind: "arrive",
        traffic: "transactional",
        count: 1,
      });
  }
  return planned;
}

function entryOf(number: number, lane: Lane, nowMs: number): QueueEntry {
  const messageId = String(number).padStart(26, "0") as MessageId;
  return {
    messageId,
    deliveryId: `${messageId}-0` as DeliveryId,
    organizationId: defaultOrganization,
    recipient: lane.recipient,
    ...sender,
    ...{ attempt: 1, bodyBytes: 20_000, bodyChunks: 1, recipients: 1 },
    traffic: lane.traffic,
    acceptedAt: nowMs,
    expiresAt: nowMs + expireMs,
  };
}

const sender = { from: Address.parse("news@example.com"), domain: Domain.parse("example.com") };
const round = (value: number) => Math.round(value * 100) / 100;
