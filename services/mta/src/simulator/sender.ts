import type { Conversation, QueueEntry, WarmingRecord } from "@tyto/contracts";
import { createEgresses } from "../egress/egresses.ts";
import type { EgressPlan } from "../egress/plan.ts";
import type { Report } from "../feedback.ts";
import type { Observation } from "../observation.ts";
import { type Outcome, settle } from "../outcome.ts";
import { createProfiles } from "../shaping/profiles.ts";
import { createShaping } from "../shaping/shaping.ts";
import { createWarming } from "../warming/warming.ts";
import type { Agenda } from "./agenda.ts";
import type { Diary } from "./diary.ts";
import { type Happening, isDue, type Lane, type Message } from "./lanes.ts";
import { manners, type Receiver } from "./receivers.ts";

/** Between two messages over one connection. */
const sendMs = 250;
const firstWaitMs = 300_000;
const siteConnectionsMax = 20;
/** Between two saves of what warming learned. */
export const saveMs = 60_000;

export type World = {
  clock: { nowMs: number };
  random: () => number;
  receivers: ReadonlyMap<string, Receiver>;
  agenda: Agenda<Happening>;
  diary: Diary;
};

/** So many new addresses in one pool. */
const planOf = (ids: readonly string[]): EgressPlan => ({
  egresses: ids.map((id, n) => ({
    id,
    localIp: `198.51.100.${n + 1}`,
    ehloName: `${id}.example.com`,
    since: "new",
  })),
  pools: [{ name: "default", members: ids.map((id) => ({ id, weight: 1 })), overflows: false }],
  uses: [],
});

/** Warming with a store in memory. */
function createRecords(egresses: EgressPlan["egresses"]) {
  const records = new Map<string, { record: WarmingRecord; revision: number }>();
  const warming = createWarming({
    egresses,
    async update(egress, record, revision) {
      if ((records.get(egress)?.revision ?? 0) !== revision) return undefined;
      records.set(egress, { record, revision: revision + 1 });
      return revision + 1;
    },
  });
  return {
    warming,
    async save(nowMs: number) {
      await warming.save(nowMs);
      for (const [id, { record, revision }] of records) warming.restore(id, record, revision);
    },
  };
}

/** Sends as the mta does: through pools, warming and the limits of sites, with its retry schedule. */
export class Sender {
  readonly #world: World;
  readonly #ids: readonly string[];
  readonly #records: ReturnType<typeof createRecords>;
  readonly #shaping: ReturnType<typeof createShaping>;
  readonly #egresses: ReturnType<typeof createEgresses>;

  constructor(addresses: number, world: World) {
    this.#world = world;
    this.#ids = Array.from({ length: addresses }, (_, n) => `ip${n + 1}`);
    const plan = planOf(this.#ids);
    this.#records = createRecords(plan.egresses);
    const { leave, giveBack } = this.#records.warming;
    this.#shaping = createShaping({
      profiles: createProfiles({ connectionsMax: siteConnectionsMax }),
      now: () => world.clock.nowMs,
      random: world.random,
    });
    this.#egresses = createEgresses({ plan, leave, giveBack, quarantineOf: () => undefined });
  }

  save(): Promise<void> {
    return this.#records.save(this.#world.clock.nowMs);
  }

  /** Where the addresses stood a moment ago. */
  statuses() {
    const { nowMs } = this.#world.clock;
    return this.#ids.map((id) => this.#records.warming.status(id, nowMs - 1));
  }

  wake(lane: Lane): void {
    if (lane.isBusy) return;
    lane.isBusy = true;
    this.#sleep(lane, this.#world.clock.nowMs);
  }

  /** One message of the lane, as far as the gates let it; then the lane's next turn. */
  async turn(lane: Lane): Promise<void> {
    const { nowMs } = this.#world.clock;
    const message = lane.again.at(-1) ?? lane.fresh[lane.taken];
    if (message === undefined) {
      lane.isBusy = false;
      return;
    }
    const { ahead } = lane;
    if (ahead !== undefined && isDue(ahead, nowMs)) return this.#sleep(lane, ahead.nextMs + 1);
    const choice = await this.#egresses.choose(message.entry, lane.site, nowMs);
    if (choice.kind !== "egress")
      return this.#sleep(lane, choice.kind === "wait" ? choice.untilMs : nowMs + saveMs);
    const key = { egress: choice.egress.id, site: lane.site.id };
    const leave = this.#shaping.leave(key, lane.site.provider, nowMs);
    if (leave.kind === "wait") {
      choice.giveBack();
      return this.#sleep(lane, Math.max(leave.untilMs, nowMs + 1));
    }
    if (lane.again.length > 0) lane.again.pop();
    else lane.fresh[lane.taken++] = undefined;
    this.#noteOvertaking(ahead);
    this.#deliver(lane, message, choice.egress);
    const connections = Math.max(1, this.#shaping.connectionsMax(key, lane.site.provider));
    this.#sleep(lane, nowMs + Math.max(sendMs / connections, lane.turnMs));
  }

  /** What a provider passed on, as the mta hears it. It is stored with the next save. */
  hear(report: Report): void {
    this.#world.diary.complained();
    void this.#records.warming.hear(report);
  }

  #sleep(lane: Lane, untilMs: number): void {
    lane.nextMs = untilMs;
    this.#world.agenda.add(untilMs, { kind: "turn", lane });
  }

  /** A bulk message leaves while transactional mail to the same site may wait. */
  #noteOvertaking(ahead: Lane | undefined): void {
    const { diary, clock } = this.#world;
    const waiting = ahead?.fresh[ahead.taken];
    if (waiting !== undefined)
      diary.transactionalWaitMsMax = Math.max(
        diary.transactionalWaitMsMax,
        clock.nowMs - waiting.entry.acceptedAt,
      );
  }

  #deliver(lane: Lane, message: Message, egress: { id: string; localIp?: string }): void {
    const { clock, random, receivers, agenda, diary } = this.#world;
    const { nowMs } = clock;
    const receiver = receivers.get(lane.provider);
    if (receiver === undefined) return;
    const { entry, isUnknown } = message;
    const ip = egress.localIp ?? egress.id;
    const { reply, reportedAfterMs } = receiver.receive({ ip, id: entry.deliveryId, isUnknown }, nowMs);
    if (reportedAfterMs !== undefined)
      agenda.add(nowMs + reportedAfterMs, { kind: "complaint", report: reportOn(entry, ip, lane.provider) });
    const mx = manners[lane.provider]?.mx ?? "mx.example.net";
    const conversation: Conversation = {
      ...{ mx, ip: "203.0.113.25", tls: null, reused: true, durationMs: sendMs },
    };
    const outcome: Outcome =
      reply.code < 300
        ? { kind: "delivered", reply, conversation, dkim: [], returnPath: entry.from }
        : { kind: "refused", reply, conversation };
    const { mark, next } = settle(entry, outcome, { nowMs, random, firstWaitMs });
    const { subject, payload } = mark.event;
    const observation: Observation = {
      ...{ atMs: nowMs, entry, site: lane.site, egress, reply, conversation },
      outcome: subject.slice("mail.".length) as Observation["outcome"],
      ...("reason" in payload ? { reason: payload.reason } : {}),
      ...("hard" in payload ? { hard: payload.hard } : {}),
    };
    this.#shaping.see(observation);
    this.#records.warming.see(observation);
    diary.count(lane.provider, observation, next === undefined);
    if (next !== undefined)
      agenda.add(next.atMs, { kind: "again", lane, message: { ...message, entry: next.entry } });
  }
}

const reportOn = ({ messageId, organizationId }: QueueEntry, ip: string, provider: string): Report => ({
  ...{ id: messageId, kind: "complained", organizationId, messageId, sourceIp: ip },
  ...(provider === "other" ? {} : { provider }),
});
