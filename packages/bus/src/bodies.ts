/** Large byte strings in parts: plain messages, read by direct get. The object store is four times slower and leaks consumers. */
import { streams as declared, Failure, type StreamSpec } from "@tyto/contracts";
import type { Bodies } from "./bus.ts";
import { token } from "./contract.ts";
import type { Direct } from "./direct/direct.ts";
import { encode, type Requests } from "./requests.ts";
import type { Store } from "./store/store.ts";

/** Half of the server's `max_payload`. */
export const partBytesMax = 524_288;
const partsAtOnceMax = 8;
/** Parts of one file in memory at a time. */
const filePartsAtOnceMax = 2;

/** A shared part holds at most so much; what is as large alone had better stand alone. */
export const packBodyBytesMax = partBytesMax;
/** Longer than any message is tried. Its bodies were dropped long before, unless a crash forgot to count them. */
const packDaysMax = 6;

/** The server's header for the life of one message; its shortest is a second. */
const timeToLive = "Nats-TTL";
const droppedFor = "1s";

const streams: Record<"BODY" | "RAW", StreamSpec> = declared;

export function createBodies(
  { store, direct, requests }: { store: Store; direct: Direct; requests: Requests },
  stream: "BODY" | "RAW",
  prefix: "body" | "raw",
  requestMs: number,
): Bodies {
  const partSubject = (id: string, part: number) => `${prefix}.${token(id)}.${part}`;
  const getPart = async (id: string, part: number, parts: number): Promise<Uint8Array> => {
    const subject = partSubject(id, part);
    // A part never changes, so any replica will do, unless it has not got it yet.
    const message =
      (await direct.last(stream, subject, { mayLag: true })) ??
      (direct.isReplicated() ? await direct.last(stream, subject) : undefined);
    if (message === undefined || (message.data.length === 0 && message.headers.has(timeToLive)))
      throw new Failure("resource.unknown", `part ${part} of ${parts} of ${prefix} ${id} is gone`);
    if (message.isStrayAnswer)
      throw new Failure("internal", `part ${part} of ${prefix} ${id} was not stored by a publish`);
    return message.data;
  };
  return {
    async put(id, bytes, onPart = () => {}) {
      const isFile = bytes instanceof Blob;
      const parts = Math.max(1, Math.ceil((isFile ? bytes.size : bytes.length) / partBytesMax));
      const part = async (index: number): Promise<Uint8Array> => {
        const [from, to] = [index * partBytesMax, (index + 1) * partBytesMax];
        return isFile ? await bytes.slice(from, to).bytes() : bytes.subarray(from, to);
      };
      await inTurns(parts, isFile ? filePartsAtOnceMax : partsAtOnceMax, async (index) => {
        const data = await part(index);
        await store.together(stream, [{ subject: partSubject(id, index), data }]);
        onPart(data.length);
      });
      return parts;
    },
    async putPack(id, bodies) {
      const data = Buffer.concat(bodies);
      if (data.length > packBodyBytesMax) throw new Failure("internal", `a pack of ${data.length} bytes`);
      const headers = { [timeToLive]: `${packDaysMax * 24}h` };
      await store.together(stream, [{ subject: partSubject(id, 0), data, headers }]);
    },
    async get(id, parts) {
      const found = new Array<Uint8Array>(parts);
      await inTurns(parts, partsAtOnceMax, async (part) => {
        found[part] = await getPart(id, part, parts);
      });
      const [only] = found;
      return parts === 1 && only !== undefined ? only : Buffer.concat(found);
    },
    async *read(id, parts) {
      for (let part = 0; part < parts; part++) yield await getPart(id, part, parts);
    },
    async drop(id, parts) {
      if (parts !== undefined && streams[stream].messageTtls === true) {
        const subjects = Array.from({ length: parts }, (_, part) => partSubject(id, part));
        const empty = { data: new Uint8Array(), headers: { [timeToLive]: droppedFor } };
        await Promise.all(subjects.map((subject) => store.together(stream, [{ subject, ...empty }])));
        return;
      }
      await requests.askJson({
        subject: `$JS.API.STREAM.PURGE.${stream}`,
        data: encode({ filter: `${prefix}.${token(id)}.>` }),
        giveUpAtMs: Date.now() + requestMs,
      });
    },
  };
}

/** Runs `work` for 0 … count − 1, at most `atOnceMax` at a time. */
async function inTurns(
  count: number,
  atOnceMax: number,
  work: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const turn = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(count, atOnceMax) }, turn));
}
