/** What came of an address's mail, as parts of it, and which parts are too large. */
import { type ProviderWarmth, phrase, type WarmingRecord } from "@tyto/contracts";
import { listed, percent } from "./words.ts";

/** So few bounces or deferrals are an accident, whatever part they are. */
const faultsMin = 5;
/** An address, or a provider, is judged from this many answers on; a slowed provider, which gets little, from fewer. */
export const judgedMin = 50;
export const slowedJudgedMin = 15;

export type Limit = { bounced: number; deferred: number; complained: number };
/**
 * Better than `fine`, and a day may be skipped; worse than `slow`, and it goes slower; worse than `halt`, and bulk mail stops:
 * all of the address's for bounces and deferrals, that to the provider for its users' complaints. Gmail and Yahoo ask for less
 * than 0.1 % complaints and treat senders with 0.3 % as spammers.
 */
export const limits = {
  fine: { bounced: 0.01, deferred: 0.05, complained: 0.001 },
  slow: { bounced: 0.03, deferred: 0.1, complained: 0.002 },
  halt: { bounced: 0.08, deferred: 0.25, complained: 0.003 },
} as const satisfies Record<string, Limit>;
/**
 * Fewer complaints are an accident, and fewer than the second number no reason to pause: of 900 messages from a sender with
 * 0.1 % one in sixteen gets three complaints, and one in four hundred five.
 */
const complaintsMin = 3;
export const pauseComplaintsMin = 5;
/** What becomes each day of what was counted before it: complaints come days after the mail they are about. */
const memory = 0.5;

/** Messages of one provider in a day, by what came of them at once. */
export type Outcomes = Pick<ProviderWarmth, "delivered" | "deferred" | "bounced">;

export type Rates = Limit & { answers: number };
/** What rates are made of. */
type Counts = Outcomes & Pick<ProviderWarmth, "recent">;
export const answersOf = ({ delivered, deferred, bounced }: Outcomes) => delivered + deferred + bounced;

export const ratesOf = (counts: Counts): Rates => {
  const { delivered, bounced, complained } = recentOf(counts);
  return {
    answers: answersOf(counts),
    // What bounces at once, and of what was taken the part that bounces later.
    bounced: part(counts.bounced, counts.delivered + counts.bounced) + part(bounced, delivered),
    deferred: part(counts.deferred, answersOf(counts)),
    complained: complained < complaintsMin ? 0 : Math.min(1, complained / Math.max(1, delivered)),
  };
};

export const recentOf = ({ recent }: Pick<ProviderWarmth, "recent">) => recent ?? nothing;
const nothing = { delivered: 0, bounced: 0, complained: 0 };

/** What the next day still counts of it. */
export const fading = (counts: Counts) => {
  const { delivered, bounced, complained } = recentOf(counts);
  return { delivered: memory * delivered, bounced: memory * bounced, complained: memory * complained };
};

const part = (faults: number, of: number) => (faults < faultsMin ? 0 : Math.min(1, faults / Math.max(1, of)));

/**
 * The rates of the address as a whole. Bounces are about the list and count from everybody; deferrals and complaints are
 * opinions, and those of a provider which is slowed already count no more, unless most mail goes to such providers.
 */
export function ratesOfAll({ providers }: WarmingRecord): Rates {
  const all = Object.values(providers);
  const everybody = ratesOf(sumOf(all));
  const content = ratesOf(sumOf(all.filter(({ pace }) => pace >= 1)));
  if (2 * content.answers < everybody.answers) return everybody;
  return { ...everybody, deferred: content.deferred, complained: content.complained };
}

const sumOf = (providers: readonly Counts[]): Counts =>
  providers.reduce<Counts>(
    (sum, counts) => ({
      delivered: sum.delivered + counts.delivered,
      deferred: sum.deferred + counts.deferred,
      bounced: sum.bounced + counts.bounced,
      recent: {
        delivered: recentOf(sum).delivered + recentOf(counts).delivered,
        bounced: recentOf(sum).bounced + recentOf(counts).bounced,
        complained: recentOf(sum).complained + recentOf(counts).complained,
      },
    }),
    { delivered: 0, deferred: 0, bounced: 0 },
  );

export const isOver = (rates: Limit, limit: Limit) => kinds.some((kind) => rates[kind] > limit[kind]);
const kinds = ["bounced", "deferred", "complained"] as const;
/** Complaints pause the provider that they come from, and not the address. */
export function isHaltDue(record: WarmingRecord): boolean {
  const rates = ratesOfAll(record);
  return rates.answers >= judgedMin && isOver({ ...rates, complained: 0 }, limits.halt);
}

/** "12 % were deferred", or of a provider "deferred 12 %". */
export function faultOf(rates: Limit, limit: Limit, isActive = false): string {
  const form = isActive ? "fault" : "fault.of-all";
  const faults = kinds.filter((kind) => rates[kind] > limit[kind]);
  return listed(faults.map((kind) => phrase(`${form}.${kind}`, { share: percent(rates[kind]) })));
}
