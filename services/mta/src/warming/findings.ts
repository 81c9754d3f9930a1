import type { Reason, WarmingRecord } from "@tyto/contracts";
import { hear, learn, type Told } from "./course.ts";
import type { Outcomes } from "./rates.ts";

/** Replies that are about us and not about the recipient or the server: greylisting is asked of every newcomer. */
const pressure: ReadonlySet<Reason> = new Set<Reason>([
  "rate.limited",
  "reputation.listed",
  "policy.refused",
  "content.refused",
  "sender.refused",
  "sender.unauthenticated",
  "unclear",
]);

/** A bounce is about the list when it is about the recipient; a refusal for what we are counts as a deferral does. */
export function kindOf(reason: Reason | undefined, hard: boolean | undefined): keyof Outcomes | undefined {
  if (hard === true) return "bounced";
  return reason !== undefined && pressure.has(reason) ? "deferred" : undefined;
}

type Found = {
  /** By provider. */
  outcomes: ReadonlyMap<string, Outcomes>;
  reports: readonly Told[];
  /** Who waits until the reports are stored. */
  told: readonly ((isStored: boolean) => void)[];
};

/** What this process saw of one address's mail and has not stored yet. */
export class Findings {
  #outcomes = new Map<string, Outcomes>();
  #reports: Told[] = [];
  #told: ((isStored: boolean) => void)[] = [];

  get isEmpty(): boolean {
    return this.#outcomes.size === 0 && this.#reports.length === 0;
  }

  add(provider: string, kind: keyof Outcomes): void {
    const known = this.#outcomes.get(provider) ?? { delivered: 0, deferred: 0, bounced: 0 };
    this.#outcomes.set(provider, { ...known, [kind]: known[kind] + 1 });
  }

  /** Resolves when the report is stored: true, or false when it could not be and is forgotten here. */
  report(report: Told): Promise<boolean> {
    this.#reports.push(report);
    return new Promise((resolve) => this.#told.push(resolve));
  }

  takeAll(): Found {
    const all = { outcomes: this.#outcomes, reports: this.#reports, told: this.#told };
    [this.#outcomes, this.#reports, this.#told] = [new Map(), [], []];
    return all;
  }

  /** They were not stored: outcomes wait for the next time; whoever brought a report brings it again. */
  putBack({ outcomes, told }: Found): void {
    for (const [provider, counts] of outcomes) {
      const since = this.#outcomes.get(provider) ?? { delivered: 0, deferred: 0, bounced: 0 };
      this.#outcomes.set(provider, {
        delivered: counts.delivered + since.delivered,
        deferred: counts.deferred + since.deferred,
        bounced: counts.bounced + since.bounced,
      });
    }
    for (const tell of told) tell(false);
  }
}

/** The record with what was found. */
export const learnAll = (record: WarmingRecord, { outcomes, reports }: Found, nowMs: number): WarmingRecord =>
  hear(learn(record, outcomes, nowMs), reports, nowMs);
