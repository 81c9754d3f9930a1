/** Puts a message into the stream DEAD: it broke its contract, was rejected, or its handler threw too often. */
import type { Headers } from "./link.ts";
import type { Delivery } from "./reader.ts";
import type { Store } from "./store/store.ts";

/** Headers of a dead letter; `tyto dlq` reads them. */
export const deadHeaders = {
  reason: "Tyto-Reason",
  subject: "Tyto-Subject",
  sequence: "Tyto-Sequence",
  times: "Tyto-Times",
  storedAt: "Tyto-Stored-At",
} as const;

export const deadSubject = (stream: string, durable: string) => `dead.${stream}.${durable}`;

const reasonCharsMax = 500;

/** A header line must not contain line breaks. */
export const oneLine = (text: string) => text.replace(/[\r\n\0]+/g, " ").slice(0, reasonCharsMax);

/** Resolves when stored; repeating it for the same message (and the same line of it) stores nothing more. */
export async function bury(
  store: Store,
  { stream, durable, subject, data, line, times, sequence, storedAtMs }: Delivery,
  reason: string,
): Promise<void> {
  const headers: Headers = {
    "Nats-Msg-Id": `${stream}.${durable}.${sequence}.${line}`,
    [deadHeaders.reason]: oneLine(reason),
    [deadHeaders.subject]: subject,
    [deadHeaders.sequence]: String(sequence),
    [deadHeaders.times]: String(times),
    [deadHeaders.storedAt]: new Date(storedAtMs).toISOString(),
  };
  await store.one({ subject: deadSubject(stream, durable), data, headers });
}
