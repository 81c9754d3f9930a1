/** What an operator does to mail that waits: to entries of the queue, or by a hold on all that is of one scope. */
import {
  Failure,
  type HoldAdd,
  HoldList,
  HoldView,
  holdKey,
  limits,
  QueueActed,
  type QueueAction,
  type QueueFilterView,
} from "@tyto/contracts";
import type { z } from "zod";
import { scopeOf, toFilter } from "./filter.ts";
import { endPause } from "./pause.ts";
import { holdsOf, type OperationPorts } from "./ports.ts";
import { shown } from "./view.ts";

/** One request does so many entries; the answer says where to go on. */
const entriesPerRequestMax = 5_000;
const putOffMsMax = limits.expiryDays * 86_400_000;

export type ActRequest = {
  filter: QueueFilterView;
  dry_run: boolean;
  cursor?: string | undefined;
  why?: string | undefined;
  pool?: string | undefined;
  untilMs?: number | undefined;
};
type HoldRequest = ActRequest & { why: string; for_s?: number | undefined };
type Acted = z.infer<typeof QueueActed>;
type Released = { key: string; was_held: boolean; asked?: true };

export async function act(
  { control, now }: OperationPorts,
  action: QueueAction,
  request: ActRequest,
  by: string,
): Promise<Acted> {
  const { filter, dry_run: isDryRun, cursor, why, pool, untilMs } = request;
  const { next, ...acted } = await control.ask("mta.act", {
    ...{ action, isDryRun, by, entriesMax: entriesPerRequestMax, why: why ?? "" },
    filter: toFilter(filter, now()),
    ...(cursor === undefined ? {} : { after: readCursor(cursor) }),
    ...(pool === undefined ? {} : { pool }),
    ...(untilMs === undefined ? {} : { untilMs }),
  });
  const sample = acted.sample.map(({ deliveryId: _, ...told }) => told);
  return shown(QueueActed, {
    ...{ ...acted, sample, action, dryRun: isDryRun },
    nextCursor: next === undefined ? null : String(next),
  });
}

/** A site that is left alone is asked by the first of its mail: who says "now" has a reason to think that it is over. */
export async function requeue(ports: OperationPorts, request: ActRequest, by: string): Promise<Acted> {
  const scope = scopeOf(request.filter);
  if (scope?.scope === "site" && !request.dry_run && request.cursor === undefined)
    await ports.control.askAll("mta.ask-site", { site: scope.id, by });
  return await act(ports, "requeue", request, by);
}

/** A single scope, or a sender at one site, is held as such; other conditions put the entries off. */
export async function hold(
  ports: OperationPorts,
  request: HoldRequest,
  by: string,
): Promise<{ hold: z.infer<typeof HoldView> } | { entries: Acted }> {
  const scope = scopeOf(request.filter);
  if (scope !== undefined && !request.dry_run)
    return { hold: await addHold(ports, { ...scope, why: request.why, for_s: request.for_s }, by) };
  // A hold as such is felt by all that waits, also by what is due only after it ends.
  return {
    entries: await putOff(ports, scope === undefined ? request : { ...request, for_s: undefined }, by),
  };
}

/** The first request says until when; what follows it keeps to that, or entries would be put off again and again. */
async function putOff(ports: OperationPorts, request: HoldRequest, by: string): Promise<Acted> {
  const [place, until] = request.cursor?.split("~") ?? [];
  const forMs = Math.min(putOffMsMax, 1_000 * (request.for_s ?? putOffMsMax / 1_000));
  const untilMs = until === undefined ? ports.now() + forMs : readCursor(until);
  const acted = await act(ports, "hold", { ...request, cursor: place, untilMs }, by);
  const next = acted.next_cursor;
  return { ...acted, next_cursor: next === null ? null : `${next}~${untilMs}` };
}

export async function release(
  ports: OperationPorts,
  request: ActRequest,
  by: string,
): Promise<{ hold: Released } | { entries: Acted }> {
  const scope = scopeOf(request.filter);
  if (scope !== undefined && !request.dry_run) {
    const hold = await releaseHold(ports, holdKey(scope), by);
    if (hold.was_held || scope.scope !== "site") return { hold };
    return { hold: { ...hold, ...(await endPause(ports, scope.id, by)) } };
  }
  return { entries: await act(ports, "requeue", request, by) };
}

export async function listHolds(ports: OperationPorts): Promise<z.infer<typeof HoldList>> {
  const { holds, measures = [] } = await holdsOf(ports);
  return shown(HoldList, { data: holds, measures });
}

export async function addHold(
  { control, now }: OperationPorts,
  { scope, id, site, why, for_s: forS }: z.infer<typeof HoldAdd>,
  by: string,
): Promise<z.infer<typeof HoldView>> {
  const more = {
    ...(site === undefined ? {} : { site }),
    ...(forS === undefined ? {} : { untilMs: now() + 1_000 * forS }),
  };
  return shown(HoldView, await control.ask("mta.hold", { scope, id, why, by, ...more }));
}

export async function releaseHold({ control }: OperationPorts, key: string, by: string): Promise<Released> {
  const { wasHeld } = await control.ask("mta.release", { key, by });
  return { key, was_held: wasHeld };
}

function readCursor(cursor: string): number {
  const after = Number(cursor);
  if (Number.isSafeInteger(after) && after >= 0) return after;
  throw new Failure("request.invalid", "cursor", {
    issues: [{ path: "cursor", problem: "is not a next_cursor of an answer before" }],
  });
}
