/**
 * A message of the queue holds up to a hundred entries of one place, an accepted message up to fifty recipients. Where their
 * turn at a site is far away, it is for all of them: one finds out, and the others go where it goes.
 */
import { type QueueEntry, trafficOf } from "@tyto/contracts";
import type { Attempted } from "./attempt.ts";

/** What one hears that may not go now. */
export type Away = Extract<Attempted, { kind: "wait" }>;

/** Those that wait for what the first one finds out. */
export type Followers = {
  readonly count: number;
  /** The first one has its turn, or waits for it here: each of the others tries for itself. */
  admit(): void;
  /** Its turn is far away, and so are theirs. */
  sendAway(away: Away): void;
};

/** Those of one sender to one domain stand in line as one; whoever an operator bound to a pool may take another way. */
export const lineOf = (entry: QueueEntry): string => {
  const { organizationId, campaign = "", domain, recipient, site = "", pool = "", requireTls = "" } = entry;
  const to = recipient.slice(recipient.lastIndexOf("@") + 1).toLowerCase();
  return [organizationId, campaign, trafficOf(entry), domain, to, site, pool, requireTls].join(" ");
};

/**
 * Runs `lead` for the first of each line, and for the others, when it is known what became of the first: `follow` where that
 * was sent away, else `alone`. One promise for each entry, in their order.
 */
export function together<R>(
  entries: readonly QueueEntry[],
  ways: {
    lead(entry: QueueEntry, followers: Followers): Promise<R>;
    follow(entry: QueueEntry, away: Away): Promise<R>;
    alone(entry: QueueEntry): Promise<R>;
  },
): Promise<R>[] {
  const lines = entries.map(lineOf);
  const counts = new Map<string, number>();
  for (const line of lines) counts.set(line, (counts.get(line) ?? 0) + 1);
  const findings = new Map<string, Promise<Away | undefined>>();
  return entries.map((entry, index) => {
    const line = lines[index] ?? "";
    const finding = findings.get(line);
    if (finding !== undefined)
      return finding.then((away) => (away === undefined ? ways.alone(entry) : ways.follow(entry, away)));
    const followers = (counts.get(line) ?? 1) - 1;
    if (followers === 0) return ways.alone(entry);
    const found = Promise.withResolvers<Away | undefined>();
    findings.set(line, found.promise);
    const admit = () => found.resolve(undefined);
    const leading = ways.lead(entry, { count: followers, admit, sendAway: found.resolve });
    // Whatever else became of it says nothing about the others.
    leading.then(admit, admit);
    return leading;
  });
}
