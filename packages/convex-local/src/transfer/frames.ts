/**
 * Several files in one stream: for each a line of JSON with its name and size, then its bytes; at the end a line
 * that says so, without which the stream was cut.
 */
import { z } from "zod";

export type Entry = { name: string; bytes: number; content: AsyncIterable<Uint8Array> };
/** When read: the bytes must be taken before the next entry is asked for, or they are gone. */

const Head = z.union([
  z.object({ name: z.string().min(1), bytes: z.number().int().nonnegative() }),
  z.object({ end: z.literal(true) }),
]);
const HEAD_BYTES_MAX = 4096;
const LINE_FEED = 10;

/** Throws Error when the entries are cut, or are none. */
export class BrokenFrames extends Error {}

export async function* frameEntries(
  entries: Iterable<Entry> | AsyncIterable<Entry>,
): AsyncGenerator<Uint8Array> {
  for await (const { name, bytes, content } of entries) {
    yield Buffer.from(`${JSON.stringify({ name, bytes })}\n`);
    let seen = 0;
    for await (const chunk of content) {
      seen += chunk.byteLength;
      yield chunk;
    }
    if (seen !== bytes) throw new BrokenFrames(`${name} has ${seen} bytes, not ${bytes}`);
  }
  yield Buffer.from('{"end":true}\n');
}

/** Throws BrokenFrames. */
export async function* readFrames(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Entry> {
  const reader = new Reader(chunks);
  for (;;) {
    const head = parseHead(await reader.line());
    if ("end" in head) break;
    let left = head.bytes;
    yield {
      ...head,
      content: (async function* () {
        while (left > 0) {
          const chunk = await reader.upTo(left);
          left -= chunk.byteLength;
          yield chunk;
        }
      })(),
    };
    while (left > 0) left -= (await reader.upTo(left)).byteLength;
  }
  if (!(await reader.isAtEnd())) throw new BrokenFrames("There is something after the end");
}

function parseHead(line: string): z.infer<typeof Head> {
  try {
    return Head.parse(JSON.parse(line));
  } catch (error) {
    throw new BrokenFrames(`This is no entry: ${line.slice(0, 100)}`, { cause: error });
  }
}

/** A file, read when its turn comes. */
export const fileEntry = (name: string, file: Blob): Entry => ({
  name,
  bytes: file.size,
  content: {
    [Symbol.asyncIterator]: () =>
      (file.stream() as unknown as AsyncIterable<Uint8Array>)[Symbol.asyncIterator](),
  },
});

class Reader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #held: Uint8Array = new Uint8Array();

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  async line(): Promise<string> {
    for (;;) {
      const at = this.#held.indexOf(LINE_FEED);
      if (at >= 0) {
        const line = Buffer.from(this.#held.subarray(0, at)).toString();
        this.#held = this.#held.subarray(at + 1);
        return line;
      }
      if (this.#held.byteLength > HEAD_BYTES_MAX) throw new BrokenFrames("An entry has no name");
      const more = await this.#next();
      if (more === null) throw new BrokenFrames("The stream ends in the middle");
      this.#held = this.#held.byteLength === 0 ? more : Buffer.concat([this.#held, more]);
    }
  }

  async upTo(bytes: number): Promise<Uint8Array> {
    if (this.#held.byteLength === 0) {
      const more = await this.#next();
      if (more === null) throw new BrokenFrames("The stream ends in the middle");
      this.#held = more;
    }
    const part = this.#held.subarray(0, bytes);
    this.#held = this.#held.subarray(part.byteLength);
    return part;
  }

  async isAtEnd(): Promise<boolean> {
    return this.#held.byteLength === 0 && (await this.#next()) === null;
  }

  async #next(): Promise<Uint8Array | null> {
    for (;;) {
      const { value, done } = await this.#chunks.next();
      if (done === true) return null;
      if (value.byteLength > 0) return value;
    }
  }
}
