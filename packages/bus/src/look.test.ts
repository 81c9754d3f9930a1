import { expect, test } from "bun:test";
import type { Link } from "./link.ts";
import { createLook } from "./look.ts";
import { decode, Interrupted, type Question, type Requests } from "./requests.ts";

const messages = 40;
const durableOf = (subject: string) => subject.split(".").at(-1) ?? "";

/** Durables of a stream of 40 messages. `isTaken` tells before each one whether somebody else gets it and what follows. */
function startStream(isTaken: (sequence: number) => boolean, reset: (durable: string) => void = () => {}) {
  const places = new Map<string, { next: number; handedOut: number }>();
  const resets: string[] = [];
  const inboxes = new Map<string, (error: null, message: unknown) => void>();
  const link = {
    nats: {
      subscribe: (inbox: string, { callback }: { callback: (error: null, message: unknown) => void }) => {
        inboxes.set(inbox, callback);
        return { unsubscribe: () => inboxes.delete(inbox) };
      },
      isClosed: () => false,
    },
    inbox: "_INBOX",
    onDisconnect: () => () => {},
    whenConnected: async () => {},
    publish(subject: string, _data: Uint8Array, { reply = "" }: { reply?: string }) {
      const place = places.get(durableOf(subject));
      if (place === undefined) throw new Error(`${subject} before its place was set`);
      queueMicrotask(() => {
        let isOurs = true;
        for (; isOurs && place.next <= messages; place.next++) {
          isOurs = !isTaken(place.next);
          place.handedOut += isOurs ? 1 : 2;
          const left = messages - place.next;
          const tokens = ["$JS.ACK.QUEUE", "d", 1, place.next, place.handedOut, 0, left];
          inboxes.get(reply)?.(null, { reply: tokens.join("."), subject: reply });
        }
      });
    },
  };
  const requests = {
    async askJson({ subject, data, once }: Question) {
      const durable = durableOf(subject);
      if (!subject.includes(".RESET.")) return { delivered: { consumer_seq: 0 } };
      expect(once).toBe(true);
      resets.push(durable);
      reset(durable);
      places.set(durable, { next: (decode(data ?? new Uint8Array()) as { seq: number }).seq, handedOut: 0 });
      return {};
    },
  };
  const parts = { link: link as unknown as Link, requests: requests as unknown as Requests };
  return { parts, resets };
}

async function sequencesOf({ parts }: ReturnType<typeof startStream>, requestMs: number) {
  const seen: number[] = [];
  for await (const { sequence } of createLook(parts, requestMs)("QUEUE", { headersOnly: false }))
    seen.push(sequence);
  return seen;
}

test("a look that others disturb at every step goes on from where it was, however often", async () => {
  let turn = 0;
  const stream = startStream(() => turn++ % 2 === 1);
  const seen = await sequencesOf(stream, 20_000);
  expect(seen).toEqual(Array.from({ length: messages }, (_, index) => index + 1));
  expect(stream.resets.length).toBeGreaterThan(20);
});

test("a look that never gets on is given up, and says why", async () => {
  const stream = startStream(() => true);
  await expect(sequencesOf(stream, 50)).rejects.toThrow(/somebody else looks through mta-read-\d/);
});

test("a place whose setting was not answered is not set again blindly: another durable is taken or the same anew", async () => {
  let unanswered = 3;
  const stream = startStream(
    () => false,
    (durable) => {
      if (unanswered-- > 0) throw new Interrupted(durable);
    },
  );
  expect(await sequencesOf(stream, 20_000)).toHaveLength(messages);
  expect(stream.resets).toHaveLength(4);
});
