/** The ways into Convex for services: event batches and raw mail, both signed. Everything else is a function call. */
import {
  type ErrorCode,
  errors,
  events,
  Failure,
  isSubject,
  type StoredEvent,
  toProblem,
} from "@tyto/contracts";
import { httpRouter } from "convex/server";
import { internal } from "./_generated/api";
import { httpAction } from "./_generated/server";
import { signatureProblem } from "./model/signature.ts";

const eventsMax = 1_000;
const eventsBytesMax = 16_777_216;
/** Convex itself refuses bodies above 20 MiB. */
const rawBytesMax = 20_971_520;
const rawsMax = 200;
const jsonBytesMax = 4_096;
/**
 * One transaction: far below Convex's 16,000 documents, 4,096 index ranges and 1 s of CPU time, and over in a moment where
 * the processor is shared by many. Some 200 messages with one recipient.
 */
const rowsPerTransactionMax = 1_500;
const bytesPerTransactionMax = 1_048_576;

const http = httpRouter();

/** `{"events":[{subject,payload},…]}` → `{applied, repeated}`. A batch with one malformed event is refused whole. */
http.route({
  path: "/events",
  method: "POST",
  handler: httpAction(async (ctx, request) => {
    const body = await signedBody(request, eventsBytesMax);
    if (body instanceof Response) return body;
    const batch = parseBatch(body);
    if (batch instanceof Response) return batch;
    let applied = 0;
    let repeated = 0;
    for (const part of parts(batch)) {
      const result = await ctx.runMutation(internal.record.apply, { events: part });
      applied += result.applied;
      repeated += result.repeated;
    }
    return Response.json({ applied, repeated });
  }),
});

/**
 * Raw messages as they came → `{stored, repeated}`. The body is one line of JSON, `{"files":[{"id","bytes"},…]}`, and
 * then the bytes of each in that order. A repeat changes nothing.
 */
http.route({
  path: "/inbound",
  method: "POST",
  handler: httpAction(async (ctx, request) => {
    const body = await signedBody(request, rawBytesMax);
    if (body instanceof Response) return body;
    const files = rawsIn(body);
    if (files === undefined)
      return refuse("request.invalid", "the body must be a line of JSON that names files, and their bytes");
    const rawIds = files.map(({ rawId }) => rawId);
    const present = new Set(await ctx.runQuery(internal.inbound.storedRaws, { rawIds }));
    const stored = await Promise.all(
      files
        .filter(({ rawId }) => !present.has(rawId))
        .map(async ({ rawId, content }) => ({
          rawId,
          storageId: await ctx.storage.store(new Blob([content], { type: "message/rfc822" })),
          bytes: content.length,
        })),
    );
    const kept =
      stored.length === 0 ? 0 : await ctx.runMutation(internal.inbound.keepRawFiles, { files: stored });
    return Response.json({ stored: kept, repeated: files.length - kept });
  }),
});

/** For one raw message that is too large for a request: `{"id"}` → `{"url"}` to post it to, or `{}` if it is stored. */
http.route({
  path: "/inbound/upload",
  method: "POST",
  handler: httpAction(async (ctx, request) => {
    const asked = await signedJson(request);
    if (asked instanceof Response) return asked;
    if (!isRawId(asked.id)) return refuse("request.invalid", "id must name the message");
    const [present] = await ctx.runQuery(internal.inbound.storedRaws, { rawIds: [asked.id] });
    if (present !== undefined) return Response.json({});
    return Response.json({ url: await ctx.runMutation(internal.inbound.uploadUrl, {}) });
  }),
});

/** `{"id", "storageId", "bytes"}`: the message was posted there and is whole. */
http.route({
  path: "/inbound/uploaded",
  method: "POST",
  handler: httpAction(async (ctx, request) => {
    const told = await signedJson(request);
    if (told instanceof Response) return told;
    const { id, storageId, bytes } = told;
    if (!isRawId(id) || typeof storageId !== "string" || typeof bytes !== "number")
      return refuse("request.invalid", "id, storageId and bytes must tell what was uploaded");
    const isKept = await ctx.runMutation(internal.inbound.keepUpload, { rawId: id, storageId, bytes });
    return isKept ? Response.json({}) : refuse("request.invalid", "the uploaded file is not whole");
  }),
});

export default http;

/** The body, or the refusal of a request that is too large or not signed by us. */
async function signedBody(request: Request, bytesMax: number): Promise<Uint8Array<ArrayBuffer> | Response> {
  const body = new Uint8Array(await request.arrayBuffer());
  if (body.length > bytesMax) return refuse("request.too-large", `at most ${bytesMax} bytes`);
  const problem = await signatureProblem(process.env.MTA_WEBHOOK_SECRET, request.headers, body, Date.now());
  return problem === undefined ? body : refuse("request.unauthenticated", problem);
}

function parseBatch(body: Uint8Array): StoredEvent[] | Response {
  const listed = eventsIn(body);
  if (listed === undefined) return refuse("request.invalid", 'the body must be {"events":[…]} in JSON');
  if (listed.length > eventsMax) return refuse("request.too-large", `at most ${eventsMax} events`);
  const parsed: StoredEvent[] = [];
  for (const [index, entry] of listed.entries()) {
    const { subject, payload } = (entry ?? {}) as { subject?: unknown; payload?: unknown };
    if (typeof subject !== "string" || !isSubject(subject))
      return refuse("request.invalid", `events[${index}] has an unknown subject`);
    const result = events[subject].safeParse(payload);
    if (!result.success) {
      const { path, message } = result.error.issues[0] ?? { path: [], message: "is not valid" };
      return refuse("request.invalid", `events[${index}].payload.${path.join(".")} ${message}`);
    }
    parsed.push({ subject, payload: result.data } as StoredEvent);
  }
  return parsed;
}

function eventsIn(body: Uint8Array): unknown[] | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(body);
    // Half of a surrogate pair is a legal JSON escape and no legal text: Convex could not store it.
    const batch: unknown = /\\u[dD][89a-fA-F]/.test(text) ? JSON.parse(text, wellFormed) : JSON.parse(text);
    const listed =
      typeof batch === "object" && batch !== null && "events" in batch ? batch.events : undefined;
    return Array.isArray(listed) ? listed : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
}

const wellFormed = (_key: string, value: unknown) =>
  typeof value === "string" ? value.replace(/[\ud800-\udfff]/gu, "\ufffd") : value;

/**
 * Cuts a batch into transactions that stay within Convex's limits, each as the JSON of its events. What is about one
 * message stands together, in its order, so that one transaction reads and writes the message once.
 */
function* parts(batch: readonly StoredEvent[]): Generator<string> {
  let part: string[] = [];
  let rows = 0;
  let bytes = 0;
  for (const event of byMessage(batch)) {
    const eventRows = rowsOf(event);
    const text = JSON.stringify(event);
    const isFull = rows + eventRows > rowsPerTransactionMax || bytes + text.length > bytesPerTransactionMax;
    if (part.length > 0 && isFull) {
      yield `[${part.join(",")}]`;
      part = [];
      rows = 0;
      bytes = 0;
    }
    part.push(text);
    rows += eventRows;
    bytes += text.length;
  }
  if (part.length > 0) yield `[${part.join(",")}]`;
}

function byMessage(batch: readonly StoredEvent[]): StoredEvent[] {
  const groups = Map.groupBy(batch, ({ payload }) =>
    "messageId" in payload ? payload.messageId : payload.id,
  );
  return [...groups.values()].flat();
}

/** About how many rows an event reads and writes. */
function rowsOf({ subject, payload }: StoredEvent): number {
  const perMessage = 5;
  if (subject === "mail.accepted" || subject === "mail.submitted")
    return perMessage + 2 * payload.recipients.length + payload.tags.length;
  if (subject === "mail.scanned")
    return perMessage + 2 * payload.message.recipients.length + payload.message.tags.length;
  // A row of the report can be a source of its own.
  if (subject === "report.dmarc") return perMessage + 2 * payload.rows.length;
  return perMessage;
}

const isRawId = (id: unknown): id is string => typeof id === "string" && /^[\w.:]{1,120}$/.test(id);

type Raw = { rawId: string; content: Uint8Array<ArrayBuffer> };

/** `undefined` unless the first line says exactly what follows it. */
function rawsIn(body: Uint8Array<ArrayBuffer>): Raw[] | undefined {
  const end = body.indexOf(0x0a);
  const listed = end === -1 ? undefined : objectIn(body.subarray(0, end))?.files;
  if (!Array.isArray(listed) || listed.length > rawsMax) return undefined;
  let at = end + 1;
  const raws: Raw[] = [];
  for (const entry of listed) {
    const { id, bytes } = (entry ?? {}) as { id?: unknown; bytes?: unknown };
    if (!isRawId(id) || !Number.isSafeInteger(bytes) || Number(bytes) < 0) return undefined;
    raws.push({ rawId: id, content: body.subarray(at, at + Number(bytes)) });
    at += Number(bytes);
  }
  return at === body.length ? raws : undefined;
}

async function signedJson(request: Request): Promise<Record<string, unknown> | Response> {
  const body = await signedBody(request, jsonBytesMax);
  if (body instanceof Response) return body;
  return objectIn(body) ?? refuse("request.invalid", "the body must be an object in JSON");
}

function objectIn(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
}

const refuse = (code: ErrorCode, hint: string) =>
  Response.json(toProblem(new Failure(code, hint, { hint })), {
    status: errors[code].http,
    headers: { "content-type": "application/problem+json" },
  });
