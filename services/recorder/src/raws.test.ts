import { afterAll, beforeEach, expect, test } from "bun:test";
import { Failure, type StoredEvent } from "@tyto/contracts";
import { sample } from "@tyto/convex/samples.testing.ts";
import { Registry, silentLog } from "@tyto/service";
import { createMetrics } from "./metrics.ts";
import { createPost } from "./post.ts";
import { createRawRecorder } from "./raws.ts";
import { startSite, type TestSite, webhookKey } from "./testing.ts";

const sites: TestSite[] = [];
let site: TestSite;
let raw: Map<string, Uint8Array>;
let recorder: ReturnType<typeof createRawRecorder>;
let uploads: number;

beforeEach(() => {
  site = startSite();
  sites.push(site);
  raw = new Map();
  uploads = 0;
  const get = (id: string): Uint8Array => {
    const bytes = raw.get(id);
    if (bytes === undefined) throw new Failure("resource.unknown", "gone");
    return bytes;
  };
  recorder = createRawRecorder({
    post: createPost(site.url, webhookKey, Date.now),
    upload: async (_url, chunks) => {
      uploads++;
      const bytes: Uint8Array<ArrayBuffer>[] = [];
      for await (const chunk of chunks) bytes.push(new Uint8Array(chunk));
      const storageId = await site.convex.run((ctx) => ctx.storage.store(new Blob(bytes)));
      return { kind: "ok", body: { storageId } };
    },
    getRaw: async (id) => get(id),
    async *readRaw(id) {
      const bytes = get(id);
      for (let at = 0; at < bytes.length; at += 524_288) yield bytes.subarray(at, at + 524_288);
    },
    dropRaw: async (id) => void raw.delete(id),
    metrics: createMetrics(new Registry(), Date.now),
    log: silentLog,
    now: Date.now,
    random: () => 0,
  });
});
afterAll(async () => {
  await Promise.all(sites.map((each) => each.stop()));
});

let sequence = 0;
/** The event of one recipient's share in a raw message of these bytes. */
function received(rawId: string, bytes: Uint8Array, recipient = "1") {
  raw.set(rawId, bytes);
  const inboundId = `${rawId}-${recipient}`;
  const event = sample("mail.received", { id: `${inboundId}.received`, inboundId, rawBytes: bytes.length });
  return entry(event);
}
const entry = (event: StoredEvent, times = 1) => ({
  event,
  arrival: { times, sequence: ++sequence, storedAtMs: Date.now() },
});
const kinds = async (entries: ReturnType<typeof entry>[]) =>
  (await recorder.record(entries)).map(({ kind }) => kind);
const bytesOf = (count: number, seed = 1) =>
  Uint8Array.from({ length: count }, (_, index) => (index * 31 + seed) % 256);
const files = () => site.convex.run((ctx) => ctx.db.query("inboundFiles").collect());
const sums = async () =>
  (await site.convex.run((ctx) => ctx.db.system.query("_storage").collect())).map(({ sha256 }) => sha256);
const sumOf = (bytes: Uint8Array) => new Bun.CryptoHasher("sha256").update(bytes).digest("base64");

test("raw messages become files byte by byte, many in a request, and then leave the stream", async () => {
  let requests = 0;
  site.interfere = () => void requests++;
  const contents = Array.from({ length: 60 }, (_, index) => bytesOf(index * 100, index));
  const entries = contents.map((bytes, index) => received(`raw${index}`, bytes));
  expect(await kinds(entries)).toEqual(Array(60).fill("done"));
  expect(requests).toBe(1);
  expect(raw.size).toBe(0);
  expect((await files()).map(({ rawId, bytes }) => [rawId, bytes])).toEqual(
    contents.map((bytes, index) => [`raw${index}`, bytes.length]),
  );
  expect((await sums()).toSorted()).toEqual(contents.map(sumOf).toSorted());
});

test("a large message is streamed to an upload URL", async () => {
  const bytes = bytesOf(5_000_000);
  expect(await kinds([received("large", bytes), received("small", bytesOf(10))])).toEqual(["done", "done"]);
  expect(uploads).toBe(1);
  expect(await sums()).toContain(sumOf(bytes));
  expect((await files()).map(({ rawId }) => rawId)).toEqual(["small", "large"]);
  expect(raw.size).toBe(0);
});

test("a message for several recipients is stored once", async () => {
  const bytes = bytesOf(100);
  const entries = ["1", "2", "3"].map((recipient) => received("one", bytes, recipient));
  expect(await kinds(entries)).toEqual(["done", "done", "done"]);
  expect(await files()).toHaveLength(1);
  // The share of the fourth comes in another batch, when the bytes have left the stream.
  const late = received("one", bytes, "4");
  raw.clear();
  expect(await kinds([late])).toEqual(["done"]);
});

test("what was stored before is not stored again", async () => {
  const large = bytesOf(3_000_000);
  await kinds([received("a", bytesOf(10)), received("b", large)]);
  expect(await kinds([received("a", bytesOf(10)), received("b", large)])).toEqual(["done", "done"]);
  expect(await sums()).toHaveLength(2);
  expect(uploads).toBe(1);
  expect(raw.size).toBe(0);
});

test("while Convex is away raw messages wait, and readiness says so", async () => {
  site.interfere = () => new Response("", { status: 503 });
  expect(await kinds([received("a", bytesOf(10))])).toEqual(["retry"]);
  expect(recorder.problem()).toBeString();
  expect(raw.has("a")).toBe(true);
  site.interfere = () => undefined;
  expect(await kinds([received("a", bytesOf(10))])).toEqual(["done"]);
  expect(recorder.problem()).toBeUndefined();
});

test("a message that Convex refuses is rejected alone, and stays for who looks into it", async () => {
  const entries = ["a", "bad", "c"].map((id, index) => received(id, bytesOf(10, index)));
  site.interfere = (_path, body) => (body.includes('"bad"') ? new Response("", { status: 413 }) : undefined);
  expect(await kinds(entries)).toEqual(["done", "reject", "done"]);
  expect([...raw.keys()]).toEqual(["bad"]);
});
