import {
  Address,
  type DeliveryId,
  Domain,
  defaultOrganization,
  type MessageId,
  type QueueEntry,
  type Traffic,
} from "@tyto/contracts";
import type { Report } from "../feedback.ts";
import type { Agenda } from "./agenda.ts";
import { dayMs, type Scenario, startMs } from "./scenario.ts";

/** Between two messages over all. */
const turnsMs = 10;
const overtakeMs = 120_000;
const expireMs = 5 * dayMs;
/** After midnight UTC. */
const campaignAtMs = 8 * 3_600_000;
/** Sites of everybody else; and lanes of one site, where several addresses share its mail. */
const otherSites = 10;
const lanesPerAddress = 4;

export type Message = { entry: QueueEntry; isUnknown: boolean };
/** The mail of one kind to one site. */
export type Lane = {
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
export type Happening =
  | { kind: "arrive"; traffic: Traffic; count: number }
  | { kind: "again"; lane: Lane; message: Message }
  | { kind: "turn"; lane: Lane }
  | { kind: "complaint"; report: Report }
  | { kind: "save" };

/** Transactional mail that is about to have a turn overtakes bulk mail to the same site. */
export const isDue = ({ fresh, taken, again, isBusy, nextMs }: Lane, nowMs: number) =>
  isBusy && nextMs <= nowMs + overtakeMs && (again.length > 0 || fresh[taken] !== undefined);

/** The lanes, and a way to pick one at random as the mix says. */
export function lanesOf({ mix, ips }: Scenario, names: readonly string[], random: () => number) {
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
export function planArrivals(
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

export function entryOf(number: number, lane: Lane, nowMs: number): QueueEntry {
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
