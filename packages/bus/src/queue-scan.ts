/** The queue looked through: what waits in it, told by headers where they tell enough, else by the entries themselves. */
import { consumers, packHeaders } from "@tyto/contracts";
import type { MsgHdrs } from "nats";
import type { QueueScan, Scanned, ScannedSummary } from "./bus.ts";
import { readEntries } from "./contract.ts";
import type { BusLog } from "./log.ts";
import type { createLook, Looked } from "./look.ts";
import { type DurableInfo, queueDurables } from "./sweep.ts";

const stream = "QUEUE";
type Parts = {
  look: ReturnType<typeof createLook>;
  floorOf(durable: string): Promise<Pick<DurableInfo, "ack_floor">>;
  log: BusLog;
};

export function createQueueScan({ look, floorOf, log }: Parts): QueueScan {
  return async function* scan({ withEntries, fromSequence = 1 }) {
    const isOver = await acknowledged(floorOf);
    let next = fromSequence;
    let isSummarised = !withEntries;
    if (isSummarised)
      for await (const looked of look(stream, { headersOnly: true, fromSequence: next })) {
        const summary = summaryOf(looked.message.headers);
        if (summary === undefined) {
          // Without these headers: read as a whole, from here on.
          isSummarised = false;
          break;
        }
        next = looked.sequence + 1;
        if (!isOver(looked)) yield { ...placeOf(looked), summary };
      }
    if (isSummarised) return;
    for await (const looked of look(stream, { headersOnly: false, fromSequence: next })) {
      if (isOver(looked)) continue;
      const { message, sequence } = looked;
      const lines = readEntries({ subject: message.subject, data: message.data, headers: message.headers });
      for (const { entry } of lines)
        if (!entry.ok) log.warn("bus.entry-unreadable", { sequence, problem: entry.problem });
      yield { ...placeOf(looked), entries: lines.flatMap(({ entry }) => (entry.ok ? [entry.value] : [])) };
    }
  };
}

/** What lies below its durable's floor of acknowledgements waits for the sweep only. */
async function acknowledged(floorOf: Parts["floorOf"]): Promise<(looked: Looked) => boolean> {
  const floors = new Map(
    await Promise.all(
      queueDurables.map(async (durable): Promise<[string, number]> => {
        const prefix = consumers[durable]?.filter[0]?.replace(/>$/, "") ?? "";
        return [prefix, (await floorOf(durable)).ack_floor.stream_seq];
      }),
    ),
  );
  const dots = Math.max(0, ...[...floors.keys()].map((prefix) => prefix.split(".").length - 1));
  return ({ message: { subject }, sequence }) => {
    let end = -1;
    for (let dot = 0; dot < dots; dot++) end = subject.indexOf(".", end + 1);
    return sequence <= (floors.get(subject.slice(0, end + 1)) ?? 0);
  };
}

function placeOf({
  sequence,
  storedAtMs,
  message,
}: Looked): Pick<Scanned, "sequence" | "subject" | "storedAtMs" | "dueAtMs" | "targetSubject"> {
  const schedule = message.headers?.get("Nats-Schedule") ?? "";
  const dueAtMs = schedule.startsWith("@at ") ? Date.parse(schedule.slice(4)) : Number.NaN;
  const targetSubject = message.headers?.get("Nats-Schedule-Target") ?? "";
  return {
    sequence,
    subject: message.subject,
    storedAtMs,
    ...(Number.isNaN(dueAtMs) || !message.subject.startsWith("queue.later.") ? {} : { dueAtMs }),
    ...(targetSubject === "" ? {} : { targetSubject }),
  };
}

/** `undefined` for a message that does not tell. */
function summaryOf(headers: MsgHdrs | undefined): ScannedSummary | undefined {
  const entries = Number(headers?.get(packHeaders.entries) || Number.NaN);
  if (headers === undefined || !Number.isSafeInteger(entries)) return undefined;
  const oldestAtMs = Number(headers.get(packHeaders.oldest) || Number.NaN);
  return {
    entries,
    place: headers.get(packHeaders.place),
    ...(Number.isNaN(oldestAtMs) ? {} : { oldestAtMs }),
    shares: headers.get(packHeaders.shares).split(",").flatMap(shareOf),
  };
}

function shareOf(text: string): ScannedSummary["shares"] {
  const [, organization, campaign, digits] = /^(?:([^/=]+)\/([^=]*)|\*)=(\d+)$/.exec(text) ?? [];
  if (digits === undefined) return [];
  return [
    {
      ...(organization === undefined ? {} : { organization }),
      ...(campaign === undefined || campaign === "" ? {} : { campaign }),
      entries: Number(digits),
    },
  ];
}
