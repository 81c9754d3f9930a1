import {
  type QueueActed,
  type QueueFilterView,
  type QueueRow,
  type QueueView,
  sumActed,
} from "@tyto/contracts";

export type QueueBy = QueueView["by"];
export const queueGroupings = ["site", "organization", "campaign"] as const satisfies readonly QueueBy[];

/** What a person does to entries that wait. */
export const queueDeeds = ["hold", "release", "requeue", "rebind", "bounce"] as const;
export type QueueDeed = (typeof queueDeeds)[number];

export type QueueChoice = { deed: QueueDeed; filter: QueueFilterView; name: string };

/** The row as a condition; undefined for rows that no condition names: mail without a campaign, and several put together. */
export function filterOf(by: QueueBy, key: string): QueueFilterView | undefined {
  return key === "" || key === "*" ? undefined : ({ [by]: key } as QueueFilterView);
}

/** Outcomes of the last minute that were not deliveries. */
export const troublesOf = ({ deferred, bounced }: QueueRow["last_minute"]): number => deferred + bounced;

/** Parts that are asked for in a row: 5,000 entries each, ten million together. */
const partsMax = 2_000;

/**
 * Does an action part by part until there is no cursor, telling after each how far it is. `ask` answers one part, undefined
 * when it failed or had nothing to count; `isWanted` false ends it after the part in hand.
 */
export async function inParts(
  ask: (cursor: string | undefined) => Promise<QueueActed | undefined>,
  onPart: (sum: QueueActed) => void,
  isWanted: () => boolean,
): Promise<QueueActed | undefined> {
  let sum: QueueActed | undefined;
  let cursor: string | undefined;
  for (let part = 0; part < partsMax; part++) {
    const acted = await ask(cursor);
    if (acted === undefined || !isWanted()) return part === 0 && acted === undefined ? undefined : sum;
    sum = sumActed(sum, acted);
    onPart(sum);
    if (acted.next_cursor === null) return sum;
    cursor = acted.next_cursor;
  }
  return sum;
}
