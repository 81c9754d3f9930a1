/**
 * The way of raw messages into Convex's file storage, beside the events: small ones many in a request, large ones
 * streamed to an upload URL. A message leaves the stream RAW when Convex has it.
 */
import { done, type Verdict } from "@tyto/bus";
import { Failure, rawIdOf, type StoredEvent } from "@tyto/contracts";
import type { Log } from "@tyto/service";
import type { Metrics } from "./metrics.ts";
import type { Answer, Post, Upload } from "./post.ts";
import { createSettler, type Entry } from "./settle.ts";

export type Ports = {
  post: Post;
  upload: Upload;
  /** Throw Failure `resource.unknown` when parts are gone. */
  getRaw(id: string, parts: number): Promise<Uint8Array>;
  readRaw(id: string, parts: number): AsyncGenerator<Uint8Array>;
  dropRaw(id: string, parts: number): Promise<void>;
  metrics: Metrics;
  log: Log;
  now(): number;
  random(): number;
};

type Received = Extract<StoredEvent, { subject: "mail.received" }>;
type Raw = { id: string; parts: number; bytes: number };

/** An HTTP action takes 20 MiB; several of these are in memory here and there. */
const packBytesMax = 6_291_456;
/** Larger ones are streamed. */
const packedBytesMax = 2_097_152;
const packFilesMax = 100;

export type RawRecorder = {
  record(batch: readonly Entry[]): Promise<readonly Verdict[]>;
  problem(): string | undefined;
};

export function createRawRecorder(ports: Ports): RawRecorder {
  const { post, metrics, log } = ports;

  /** Stores what the batch names. The first answer that is not ok ends it; what was stored before is not stored twice. */
  async function send(batch: readonly Entry<Received>[]): Promise<Answer> {
    const raws = rawsOf(batch);
    for (const pack of packs(raws.filter(({ bytes }) => bytes <= packedBytesMax))) {
      const answer = await sendPack(pack);
      if (answer.kind !== "ok") return answer;
    }
    for (const raw of raws.filter(({ bytes }) => bytes > packedBytesMax)) {
      const answer = await sendLarge(raw);
      if (answer.kind !== "ok") return answer;
    }
    await Promise.all(raws.map(drop));
    return ok;
  }

  async function sendPack(pack: readonly Raw[]): Promise<Answer> {
    const found = (await Promise.all(pack.map(fetchRaw))).filter((one) => one !== undefined);
    if (found.length === 0) return ok;
    const files = found.map(({ id, content }) => ({ id, bytes: content.length }));
    const head = Buffer.from(`${JSON.stringify({ files })}\n`);
    const body = Buffer.concat([head, ...found.map(({ content }) => content)]);
    const answer = await post("/inbound", body, { "content-type": "application/octet-stream" });
    if (answer.kind === "ok") metrics.filed(found.length, body.length - head.length);
    return answer;
  }

  async function sendLarge(raw: Raw): Promise<Answer> {
    const asked = await postJson("/inbound/upload", { id: raw.id });
    if (asked.kind !== "ok") return asked;
    const { url } = (asked.body ?? {}) as { url?: unknown };
    if (typeof url !== "string") return ok;
    try {
      const stored = await ports.upload(url, ports.readRaw(raw.id, raw.parts));
      if (stored.kind !== "ok") return stored;
      const { storageId } = (stored.body ?? {}) as { storageId?: unknown };
      const kept = await postJson("/inbound/uploaded", { id: raw.id, storageId, bytes: raw.bytes });
      if (kept.kind === "ok") metrics.filed(1, raw.bytes);
      return kept;
    } catch (error) {
      if (!isGone(error)) throw error;
      log.warn("raw.gone", { rawId: raw.id });
      return ok;
    }
  }

  const postJson = (path: "/inbound/upload" | "/inbound/uploaded", value: unknown) =>
    post(path, new TextEncoder().encode(JSON.stringify(value)), { "content-type": "application/json" });

  async function fetchRaw({ id, parts }: Raw) {
    try {
      return { id, content: await ports.getRaw(id, parts) };
    } catch (error) {
      if (!isGone(error)) throw error;
      // Stored and dropped for another recipient, or by a process that ended before it could say so; or it outlived
      // the stream.
      log.debug("raw.gone", { rawId: id });
      return undefined;
    }
  }

  /** Not worth another try of the whole: what stays behind leaves the stream by age. */
  async function drop({ id, parts }: Raw): Promise<void> {
    await ports.dropRaw(id, parts).catch((error: unknown) => log.warn("raw.kept", { rawId: id, error }));
  }

  const settler = createSettler<Received>({ ...ports, send });
  return {
    problem: settler.problem,
    async record(batch) {
      // The durable's filter lets nothing else through.
      const received = batch.filter(
        (entry): entry is Entry<Received> => entry.event.subject === "mail.received",
      );
      const verdicts = await settler.settle(received);
      const byEntry = new Map(received.map((entry, index) => [entry as Entry, verdicts[index] ?? done]));
      return batch.map((entry) => byEntry.get(entry) ?? done);
    },
  };
}

const ok: Answer = { kind: "ok", body: {} };

const isGone = (error: unknown) => error instanceof Failure && error.code === "resource.unknown";

/** Each message once, however many of its recipients are in the batch. */
function rawsOf(batch: readonly Entry<Received>[]): Raw[] {
  const raws = new Map<string, Raw>();
  for (const { event } of batch) {
    const { inboundId, rawChunks: parts, rawBytes: bytes } = event.payload;
    const id = rawIdOf(inboundId);
    raws.set(id, { id, parts, bytes });
  }
  return [...raws.values()];
}

function* packs(raws: readonly Raw[]): Generator<Raw[]> {
  let pack: Raw[] = [];
  let bytes = 0;
  for (const raw of raws) {
    if (pack.length === packFilesMax || (pack.length > 0 && bytes + raw.bytes > packBytesMax)) {
      yield pack;
      pack = [];
      bytes = 0;
    }
    pack.push(raw);
    bytes += raw.bytes;
  }
  if (pack.length > 0) yield pack;
}
