/**
 * OpenTelemetry traces over OTLP/HTTP with JSON, off unless OTEL_EXPORTER_OTLP_ENDPOINT is set. Own code, because the
 * SDK with this exporter brings a dozen packages for one POST; the names of settings, fields and headers are the standard's.
 */
import type { Log } from "./log.ts";

/** What is known of a span; times in ms since 1970. */
export type SpanStart = {
  /** `traceparent` of what caused it (W3C Trace Context); absent begins a trace. */
  parent?: string | undefined;
  kind?: "server" | "client" | "producer" | "consumer" | "internal";
  attributes?: Attributes;
};
export type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

export type Span = {
  /** To hand on; absent when nothing is traced. */
  traceparent: string | undefined;
  /** Ends it, once. `problem` marks it as failed. */
  end(attributes?: Attributes, problem?: string): void;
};

export type Tracer = {
  /** False costs nothing: `begin` does nothing, and nothing is handed on. */
  isOn: boolean;
  begin(name: string, start?: SpanStart): Span;
  /** Sends what waits. */
  stop(): Promise<void>;
};

export type TracerSettings = {
  /** Where traces go, `/v1/traces` included; absent turns tracing off. */
  url: string | undefined;
  headers: Readonly<Record<string, string>>;
  /** The share of new traces that are recorded, 0 to 1. */
  ratio: number;
};

const noSpan: Span = { traceparent: undefined, end: () => {} };
export const noTracer: Tracer = { isOn: false, begin: () => noSpan, stop: async () => {} };

/** Spans that wait to be sent; more are dropped and counted. */
const waitingMax = 8_192;
const spansPerPostMax = 512;
const postEveryMs = 2_000;
const postMsMax = 5_000;
const complainEveryMs = 60_000;
const attributeCharsMax = 500;

/** OTLP's numbers of span kinds. */
const kinds = { internal: 1, server: 2, client: 3, producer: 4, consumer: 5 } as const;
const statusError = 2;

type Recorded = Record<string, unknown>;

export function createTracer(
  service: string,
  { url, headers, ratio }: TracerSettings,
  log: Pick<Log, "warn">,
): Tracer {
  if (url === undefined) return noTracer;
  let waiting: Recorded[] = [];
  let dropped = 0;
  let complainedAtMs = 0;
  let posting: Promise<void> = Promise.resolve();

  const complain = (problem: string) => {
    if (Date.now() - complainedAtMs < complainEveryMs) return;
    complainedAtMs = Date.now();
    log.warn("service.spans-not-sent", { problem, dropped });
  };
  const post = async (spans: readonly Recorded[]) => {
    const body = {
      resourceSpans: [
        {
          resource: {
            attributes: attributesOf({ "service.name": `tyto-${service}`, "service.namespace": "tyto" }),
          },
          scopeSpans: [{ scope: { name: "tyto" }, spans }],
        },
      ],
    };
    try {
      const answer = await fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(postMsMax),
      });
      await answer.arrayBuffer();
      if (answer.ok) return;
      complain(`${url} answered ${answer.status}`);
    } catch (error) {
      complain(`${url}: ${error instanceof Error ? error.message : String(error)}`);
    }
    dropped += spans.length;
  };
  /** One after the other: a slow collector must not be met by more and more posts. */
  const flush = () => {
    posting = posting.then(async () => {
      while (waiting.length > 0) {
        const spans = waiting.slice(0, spansPerPostMax);
        waiting = waiting.slice(spans.length);
        await post(spans);
      }
    });
    return posting;
  };
  const timer = setInterval(() => waiting.length > 0 && void flush(), postEveryMs);
  timer.unref();

  return {
    isOn: true,
    begin(name, { parent, kind = "internal", attributes = {} } = {}) {
      const context = parseTraceparent(parent);
      // A traceparent says whether its trace is recorded; a new trace is decided here.
      const isRecorded = context?.isRecorded ?? Math.random() < ratio;
      const traceId = context?.traceId ?? randomHex(16);
      const spanId = randomHex(8);
      const traceparent = `00-${traceId}-${spanId}-${isRecorded ? "01" : "00"}`;
      if (!isRecorded) return { traceparent, end: () => {} };
      const startedAtMs = Date.now();
      const startedMs = performance.now();
      let isEnded = false;
      return {
        traceparent,
        end(more = {}, problem) {
          if (isEnded) return;
          isEnded = true;
          if (waiting.length >= waitingMax) {
            dropped++;
            return complain(`more than ${waitingMax} spans wait`);
          }
          waiting.push({
            traceId,
            spanId,
            ...(context === undefined ? {} : { parentSpanId: context.spanId }),
            name,
            kind: kinds[kind],
            startTimeUnixNano: nanoseconds(startedAtMs),
            endTimeUnixNano: nanoseconds(startedAtMs + performance.now() - startedMs),
            attributes: attributesOf({ ...attributes, ...more }),
            status:
              problem === undefined
                ? {}
                : { code: statusError, message: problem.slice(0, attributeCharsMax) },
          });
        },
      };
    },
    async stop() {
      clearInterval(timer);
      await flush();
    },
  };
}

/** `00-<trace>-<span>-<flags>` (W3C Trace Context §3.2); `undefined` for anything else. */
export function parseTraceparent(text: string | undefined) {
  const [, traceId, spanId, flags] =
    /^[\da-f]{2}-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})/.exec(text ?? "") ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, isRecorded: (Number.parseInt(flags, 16) & 1) === 1 };
}

const randomHex = (bytes: number) =>
  Buffer.from(crypto.getRandomValues(new Uint8Array(bytes))).toString("hex");

/** As text: the number is beyond what JSON numbers hold exactly. */
const nanoseconds = (ms: number) => `${Math.round(ms * 1_000)}000`;

const attributesOf = (attributes: Attributes) =>
  Object.entries(attributes).flatMap(([key, value]) =>
    value === undefined ? [] : [{ key, value: otlpValue(value) }],
  );

function otlpValue(value: string | number | boolean) {
  if (typeof value === "string") return { stringValue: value.slice(0, attributeCharsMax) };
  if (typeof value === "boolean") return { boolValue: value };
  return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}
