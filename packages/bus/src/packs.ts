/**
 * Events share messages: one message of EVENTS holds one event or several of the same subject, one JSON text per line.
 * What a stream costs is counted in messages, hardly in bytes: a shared one is stored, delivered and acknowledged once.
 */
import { Failure } from "@tyto/contracts";
import type { Message, Store } from "./store/store.ts";

export const packEventsMax = 100;
export const packBytesMax = 131_072;
/** Events of one subject that wait for the pack before them. */
const waitingMax = 50_000;

const lineFeed = 0x0a;
const stream = "EVENTS";

export type Line = { id: string; data: Uint8Array };

/** The lines of a pack; a message with one event is a pack of one. */
export function linesOf(data: Uint8Array): Uint8Array[] {
  const lines: Uint8Array[] = [];
  let start = 0;
  for (let end = data.indexOf(lineFeed); end !== -1; end = data.indexOf(lineFeed, start)) {
    lines.push(data.subarray(start, end));
    start = end + 1;
  }
  lines.push(data.subarray(start));
  return lines;
}

/** How many events a message holds. */
export function weightOf({ data }: { data: Uint8Array }): number {
  let count = 1;
  for (let at = data.indexOf(lineFeed); at !== -1; at = data.indexOf(lineFeed, at + 1)) count++;
  return count;
}

/** The packs of some events, in their order. The same events make the same packs under the same ids. */
export function packsOf(subject: string, lines: readonly Line[]): Message[] {
  const packs: Message[] = [];
  for (let start = 0; start < lines.length; ) {
    const pack = lines.slice(start, start + fitting(lines, start));
    packs.push(packOf(subject, pack));
    start += pack.length;
  }
  return packs;
}

function fitting(lines: readonly Line[], start: number): number {
  let count = 0;
  let bytes = 0;
  for (let index = start; index < lines.length && count < packEventsMax; index++) {
    bytes += (lines[index]?.data.length ?? 0) + 1;
    if (count > 0 && bytes > packBytesMax) break;
    count++;
  }
  return count;
}

function packOf(subject: string, lines: readonly Line[]): Message {
  const [first] = lines;
  if (first === undefined) throw new Failure("internal", "a pack of no events");
  const id = lines.length === 1 ? first.id : `${first.id}+${lines.length - 1}`;
  return { subject, data: joined(lines), headers: { "Nats-Msg-Id": id } };
}

/** The lines as the data of one message. */
export function joined(lines: readonly Pick<Line, "data">[]): Uint8Array {
  const [only] = lines;
  if (lines.length === 1 && only !== undefined) return only.data;
  const data = new Uint8Array(lines.reduce((sum, line) => sum + line.data.length + 1, -1));
  let offset = 0;
  for (const [index, line] of lines.entries()) {
    if (index > 0) data[offset++] = lineFeed;
    data.set(line.data, offset);
    offset += line.data.length;
  }
  return data;
}

type Waiting = Line & { resolve(): void; reject(error: unknown): void };

/**
 * Packs the events of many callers. One pack of a subject is on its way at a time, and the next one takes what has come
 * meanwhile: nobody waits for a pack to fill.
 */
export function createPacker(store: Store): (subject: string, line: Line) => Promise<void> {
  const lanes = new Map<string, { waiting: Waiting[]; isFlying: boolean }>();

  const fly = async (subject: string, lane: { waiting: Waiting[]; isFlying: boolean }) => {
    lane.isFlying = true;
    while (lane.waiting.length > 0) {
      const pack = lane.waiting.splice(0, fitting(lane.waiting, 0));
      try {
        await store.together(stream, [packOf(subject, pack)]);
        for (const { resolve } of pack) resolve();
      } catch (error) {
        for (const { reject } of pack) reject(error);
      }
    }
    lane.isFlying = false;
  };

  return (subject, line) =>
    new Promise((resolve, reject) => {
      const lane = lanes.get(subject) ?? { waiting: [], isFlying: false };
      lanes.set(subject, lane);
      if (lane.waiting.length >= waitingMax)
        return reject(
          new Failure("upstream.down", `more than ${waitingMax} events of ${subject} wait for NATS`),
        );
      lane.waiting.push({ ...line, resolve, reject });
      if (!lane.isFlying) void fly(subject, lane);
    });
}
