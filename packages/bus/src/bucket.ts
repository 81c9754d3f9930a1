/** Key-value buckets as plain streams: put, create and delete are publishes, get is a direct get. */
import type { BucketName, BucketValue } from "@tyto/contracts";
import { Failure } from "@tyto/contracts";
import { nuid } from "nats";
import type { Bucket } from "./bus.ts";
import { readValue, writeValue } from "./contract.ts";
import type { Direct, Found } from "./direct/direct.ts";
import type { Link } from "./link.ts";
import type { BusLog } from "./log.ts";
import { StreamError, wrongLastSequence } from "./requests.ts";
import type { Message, Store } from "./store/store.ts";
import { watchBucket } from "./watch.ts";

export const bucketStream = (bucket: BucketName) => `KV_${bucket}`;
export const bucketPrefix = (bucket: BucketName) => `$KV.${bucket}.`;

/** A key that was deleted keeps a last message that says so. */
export const isDeleted = ({ headers }: Found) =>
  headers.has("KV-Operation") || headers.has("Nats-Marker-Reason");

/** Copies of what Convex owns are behind it anyway, so any replica may answer. Marks and claims are read from the leader. */
const copies: ReadonlySet<BucketName> = new Set(["SUPPRESSIONS", "DOMAINS", "API_KEYS", "INBOXES"]);

/** Another writer came between `create`'s look and its put this often: give up. */
const createTriesMax = 8;

export function createBucket<B extends BucketName>(
  parts: { link: Link; store: Store; direct: Direct; log: BusLog; lookMs: number },
  name: B,
): Bucket<B> {
  const { store, direct } = parts;
  const stream = bucketStream(name);
  const message = (key: string, data: Uint8Array, headers: Record<string, string>): Message => ({
    subject: bucketPrefix(name) + checkedKey(key),
    data,
    headers: { "Nats-Msg-Id": nuid.next(), ...headers },
  });
  const findTogether = createTogether(direct, stream, copies.has(name));
  const find = (key: string) => findTogether(bucketPrefix(name) + checkedKey(key));

  const checkedValue = (key: string, found: Found | undefined): BucketValue<B> | undefined => {
    if (found === undefined || isDeleted(found)) return undefined;
    const value = readValue(name, found);
    if (!value.ok) throw new Failure("internal", `${name} ${key} breaks its contract: ${value.problem}`);
    return value.value;
  };

  return {
    get: async (key) => checkedValue(key, await find(key)),
    async find(key) {
      const found = await find(key);
      return found === undefined ? undefined : { value: checkedValue(key, found), revision: found.sequence };
    },
    put: async (key, value) => store.together(stream, [message(key, writeValue(name, value), {})]),
    delete: async (key) =>
      store.together(stream, [message(key, new Uint8Array(), { "KV-Operation": "DEL" })]),
    async create(key, value) {
      const data = writeValue(name, value);
      const id = nuid.next();
      let lastSequence = 0;
      for (let attempt = 0; attempt < createTriesMax; attempt++) {
        const expected = {
          "Nats-Msg-Id": id,
          "Nats-Expected-Last-Subject-Sequence": String(lastSequence),
        };
        try {
          await store.together(stream, [message(key, data, expected)]);
          return true;
        } catch (error) {
          if (!(error instanceof StreamError) || error.errorCode !== wrongLastSequence) throw error;
        }
        const found = await find(key);
        // The answer to our own put was lost: what is there is ours.
        if (found?.headers.get("Nats-Msg-Id") === id) return true;
        if (found !== undefined && !isDeleted(found)) return false;
        lastSequence = found?.sequence ?? 0;
      }
      throw new Failure("upstream.down", `${name} ${key} changes all the time`);
    },
    async update(key, value, revision) {
      const data = value === undefined ? new Uint8Array() : writeValue(name, value);
      const headers = {
        "Nats-Expected-Last-Subject-Sequence": String(revision),
        ...(value === undefined ? { "KV-Operation": "DEL" } : {}),
      };
      try {
        return (await store.one(message(key, data, headers))).seq;
      } catch (error) {
        if (error instanceof StreamError && error.errorCode === wrongLastSequence) return undefined;
        throw error;
      }
    },
    watch: (onChange) => watchBucket(parts, name, onChange),
  };
}

/** Subjects that one request asks for; the server answers at most 1,024. */
const togetherMax = 256;

/** Reads that are asked for side by side share requests: a message that holds a hundred events asks once. */
function createTogether(
  direct: Direct,
  stream: string,
  mayLag: boolean,
): (subject: string) => Promise<Found | undefined> {
  type Asked = { subject: string; resolve(found: Found | undefined): void; reject(error: unknown): void };
  let asked: Asked[] = [];

  const ask = async (some: readonly Asked[]) => {
    try {
      const [only] = some;
      if (some.length === 1 && only !== undefined)
        return only.resolve(await direct.last(stream, only.subject, { mayLag }));
      const found = await direct.lastOfEach(stream, [...new Set(some.map(({ subject }) => subject))], {
        mayLag,
      });
      for (const { subject, resolve } of some) resolve(found.get(subject));
    } catch (error) {
      for (const { reject } of some) reject(error);
    }
  };
  const askAll = () => {
    const all = asked;
    asked = [];
    for (let at = 0; at < all.length; at += togetherMax) void ask(all.slice(at, at + togetherMax));
  };

  return (subject) =>
    new Promise((resolve, reject) => {
      // After this turn's microtasks: handlers that were started together have asked by then.
      if (asked.length === 0) setImmediate(askAll);
      asked.push({ subject, resolve, reject });
    });
}

/** Keys may hold dots (a domain), and no empty part, wildcard or space. */
function checkedKey(key: string): string {
  if (!/^[^\s.*>\p{Cc}]+(\.[^\s.*>\p{Cc}]+)*$/u.test(key))
    throw new Failure("internal", `${JSON.stringify(key)} is not a key`);
  return key;
}

export type OnChange<B extends BucketName> = (
  key: string,
  value: BucketValue<B> | undefined,
  revision: number,
) => void;
