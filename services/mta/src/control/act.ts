import type { Queue, Scanned } from "@tyto/bus";
import {
  type AttemptMark,
  type ControlAnswer,
  type ControlRequest,
  type DeliveryId,
  type Payload,
  phrase,
  type QueueEntry,
  reasons,
  shortened,
} from "@tyto/contracts";
import type { Log } from "@tyto/service";
import { allOf } from "../all-of.ts";
import { matches, type SiteOfDomain, siteOfEntry } from "./matching.ts";

type Request = ControlRequest<"mta.act">;
type Acted = ControlAnswer<"mta.act">;

/** The outside world, as acting on the queue needs it. */
export type ActPorts = {
  queue: Pick<Queue, "scan" | "remove" | "add">;
  markOf(id: DeliveryId): Promise<AttemptMark | undefined>;
  putMark(id: DeliveryId, mark: AttemptMark): Promise<void>;
  publish(event: AttemptMark["event"]): Promise<void>;
  /** What of it any process has in hand; throws when one did not answer. */
  withhold(ids: readonly DeliveryId[], forMs: number): Promise<ReadonlySet<DeliveryId>>;
  dropBody(entry: QueueEntry): Promise<void>;
  siteOf: SiteOfDomain;
  now: () => number;
  log: Pick<Log, "info" | "warn">;
};

/** One question goes on for this long, and says where the next one has to begin. */
const actMsMax = 20_000;
/** Entries that are withheld from all processes at a time. */
const batchMax = 500;
const withholdMs = 30_000;
/** Messages that are changed side by side: their entries share new messages. Each holds up to a hundred entries. */
const messagesAtOnceMax = 50;
const sampleMax = 10;

/** An entry that is meant, with its last attempt's mark. */
type Found = { scanned: Scanned; entry: QueueEntry };

/** Of the entries that the filter holds for, only those; ends early when the signal says so. */
export type ActLimits = { only?(entry: QueueEntry, site: string): boolean; signal?: AbortSignal };

/**
 * Does one thing to all entries of the queue that a filter holds for: bounded, from a position on, and harmless to
 * repeat. What a process has in hand at the moment is left alone and counted. Throws Failure `upstream.down` when a process
 * did not say what it has in hand.
 */
export const createAct =
  (ports: ActPorts) =>
  async (request: Request, limits: ActLimits = {}): Promise<Acted> => {
    const { action, filter, isDryRun, entriesMax, after = 0, by, why } = request;
    const untilMs = ports.now() + actMsMax;
    const acted: Acted = { matched: 0, touched: 0, inHand: 0, sample: [] };
    let batch: Found[] = [];
    let last = after;
    let isCut = false;
    const flush = async () => {
      if (!isDryRun) await actOn(ports, request, batch, acted);
      batch = [];
    };

    for await (const scanned of ports.queue.scan({ withEntries: true, fromSequence: after + 1 })) {
      // What is put back while we go on stands behind, and comes again: it is as it shall be.
      if (acted.matched >= entriesMax || ports.now() > untilMs || limits.signal?.aborted) {
        isCut = true;
        break;
      }
      last = scanned.sequence;
      if (isAsWanted(scanned, request, ports.now())) continue;
      for (const entry of await meant(ports, request, scanned, limits)) {
        acted.matched++;
        if (acted.sample.length < sampleMax) acted.sample.push(sampleOf(scanned, entry, ports.siteOf));
        batch.push({ scanned, entry });
      }
      if (batch.length >= batchMax) await flush();
    }
    await flush();
    if (!isDryRun)
      ports.log.info("mta.queue-acted", {
        ...{ action, by, why, filter, after, matched: acted.matched, touched: acted.touched },
        inHand: acted.inHand,
      });
    return { ...acted, ...(isCut ? { next: last } : {}) };
  };

/** The entries of a message that are meant and whose attempt is not over. A bounce that a crash cut short is finished. */
async function meant(
  ports: ActPorts,
  request: Request,
  scanned: Scanned,
  { only }: ActLimits,
): Promise<QueueEntry[]> {
  const fitting = (scanned.entries ?? []).filter(
    (entry) =>
      matches(entry, request.filter, ports.siteOf) &&
      !isBound(entry, request) &&
      (only === undefined || only(entry, siteOfEntry(entry, ports.siteOf))),
  );
  // Side by side: the bus asks for them in one request.
  const marks = await Promise.all(fitting.map(({ deliveryId }) => ports.markOf(deliveryId)));
  const found: QueueEntry[] = [];
  for (const [at, entry] of fitting.entries()) {
    const mark = marks[at];
    if (mark === undefined || !isOver(mark, entry)) found.push(entry);
    else if (request.action === "bounce" && !request.isDryRun && mark.final)
      await finish(ports, scanned, entry, mark);
  }
  return found;
}

const isOver = (mark: AttemptMark, entry: QueueEntry) => mark.final || mark.attempt >= entry.attempt;

/** What is due is due already, and what is put off stays so. */
function isAsWanted({ dueAtMs }: Scanned, { action, untilMs = 0 }: Request, nowMs: number): boolean {
  if (action === "requeue") return dueAtMs === undefined || dueAtMs <= nowMs;
  return action === "hold" && dueAtMs !== undefined && dueAtMs >= untilMs;
}

const isBound = (entry: QueueEntry, { action, pool }: Request) => action === "rebind" && entry.pool === pool;

async function actOn(
  ports: ActPorts,
  request: Request,
  found: readonly Found[],
  acted: Acted,
): Promise<void> {
  for (let from = 0; from < found.length; from += batchMax) {
    const part = found.slice(from, from + batchMax);
    const ids = part.map(({ entry }) => entry.deliveryId);
    const inHand = await ports.withhold(ids, withholdMs);
    try {
      const free = part.filter(({ entry }) => !inHand.has(entry.deliveryId));
      acted.inHand += part.length - free.length;
      const messages = [...byMessage(free)];
      for (let at = 0; at < messages.length; at += messagesAtOnceMax)
        await allOf(
          messages.slice(at, at + messagesAtOnceMax).map(async ([scanned, wanted]) => {
            await change(ports, request, scanned, wanted);
            acted.touched += wanted.length;
          }),
        );
    } finally {
      await ports.withhold(ids, 0);
    }
  }
}

function byMessage(found: readonly Found[]): Map<Scanned, QueueEntry[]> {
  const messages = new Map<Scanned, QueueEntry[]>();
  for (const { scanned, entry } of found) messages.set(scanned, [...(messages.get(scanned) ?? []), entry]);
  return messages;
}

/**
 * Everything that stays is stored anew before the old message goes: a crash between them leaves copies of one attempt, of
 * which the mark of the first is the end of the others.
 */
async function change(
  ports: ActPorts,
  request: Request,
  scanned: Scanned,
  wanted: readonly QueueEntry[],
): Promise<void> {
  const nowMs = ports.now();
  const atMs = scanned.dueAtMs ?? nowMs;
  // Side by side: what is put back for one time shares a message.
  await Promise.all(
    (scanned.entries ?? []).map((entry) => {
      if (!wanted.includes(entry)) return ports.queue.add([entry], atMs);
      if (request.action === "requeue") return ports.queue.add([unseen(entry)], nowMs);
      if (request.action === "rebind")
        return ports.queue.add([{ ...entry, ...(request.pool && { pool: request.pool }) }], atMs);
      if (request.action === "hold") return ports.queue.add([entry], request.untilMs ?? atMs);
      return bounce(ports, entry, request.why);
    }),
  );
  await ports.queue.remove(scanned);
}

/** As if nobody had looked at it: what it waited for may be over, and what it waits for next may be short. */
const unseen = ({ looks: _, ...entry }: QueueEntry): QueueEntry => entry;

/** The mark first: from then on no copy of the entry is sent. */
async function bounce(ports: ActPorts, entry: QueueEntry, why: string): Promise<void> {
  const { deliveryId, messageId, organizationId, recipient, attempt } = entry;
  const { fault, hard } = reasons["local.trouble"];
  const payload: Payload<"mail.bounced"> = {
    ...{ id: `${deliveryId}.${attempt}.bounced`, at: ports.now() },
    ...{ organizationId, messageId, deliveryId, recipient, source: "smtp" },
    ...{ reason: "local.trouble", fault, hard, confidence: 1, attempt },
    explanation: shortened(phrase("given-up", { why }), 500),
  };
  await ports.putMark(deliveryId, { attempt, final: true, event: { subject: "mail.bounced", payload } });
  await ports.publish({ subject: "mail.bounced", payload });
  if (entry.recipients === 1) await ports.dropBody(entry);
}

async function finish(
  ports: ActPorts,
  scanned: Scanned,
  entry: QueueEntry,
  mark: AttemptMark,
): Promise<void> {
  await ports.publish(mark.event);
  if (scanned.entries?.length === 1) await ports.queue.remove(scanned);
  else if (scanned.dueAtMs !== undefined)
    ports.log.warn("mta.bounced-entry-stays", { deliveryId: entry.deliveryId, sequence: scanned.sequence });
}

const sampleOf = (scanned: Scanned, entry: QueueEntry, siteOf: SiteOfDomain): Acted["sample"][number] => ({
  deliveryId: entry.deliveryId,
  messageId: entry.messageId,
  recipient: entry.recipient,
  organizationId: entry.organizationId,
  ...(entry.campaign === undefined ? {} : { campaign: entry.campaign }),
  site: siteOfEntry(entry, siteOf),
  attempt: entry.attempt,
  acceptedAtMs: entry.acceptedAt,
  ...(scanned.dueAtMs === undefined ? {} : { nextAtMs: scanned.dueAtMs }),
});
