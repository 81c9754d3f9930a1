import { createReadStream } from "node:fs";
import { identify } from "../identity.ts";
import type { SpoolFile } from "./file.ts";
import type { Spooled } from "./spool.ts";

/** Longer messages go to a file, in writes of this size. */
export const blockBytesMax = 65_536;
const blockBytesMin = 4_096;

/** A message as it comes: one block of it in memory, the blocks before it in a file. */
export class Arrival {
  readonly #file: SpoolFile;
  readonly #identity = identify();
  #block = new Uint8Array(blockBytesMin);
  #filledBytes = 0;
  #bytesInFile = 0;

  constructor(file: SpoolFile) {
    this.#file = file;
  }

  /** Throws what the file throws. */
  async add(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.length; ) {
      if (this.#filledBytes === this.#block.length && this.#filledBytes < blockBytesMax) this.#grow();
      const part = chunk.subarray(at, at + this.#block.length - this.#filledBytes);
      this.#block.set(part, this.#filledBytes);
      this.#filledBytes += part.length;
      at += part.length;
      if (this.#filledBytes < blockBytesMax) continue;
      this.#identity.add(this.#block);
      await this.#file.append(this.#block);
      this.#bytesInFile += this.#filledBytes;
      this.#filledBytes = 0;
    }
  }

  /** The whole message. Throws what the file throws. */
  async end(): Promise<Spooled> {
    const rest = this.#block.subarray(0, this.#filledBytes);
    this.#identity.add(rest);
    const { header, digest: identity } = this.#identity.end();
    const bytes = this.#bytesInFile + this.#filledBytes;
    if (this.#bytesInFile === 0) return { bytes, header, identity, ...inMemory(rest.slice()) };
    if (rest.length > 0) await this.#file.append(rest);
    await this.#file.close();
    return { bytes, header, identity, ...inFile(this.#file) };
  }

  #grow(): void {
    const larger = new Uint8Array(Math.min(blockBytesMax, this.#filledBytes * 4));
    larger.set(this.#block);
    this.#block = larger;
  }
}

type Content = Pick<Spooled, "content" | "front" | "chunks" | "discard">;

const inMemory = (bytes: Uint8Array<ArrayBuffer>): Content => ({
  content: bytes,
  front: async (bytesMax) => bytes.subarray(0, bytesMax),
  async *chunks() {
    yield bytes;
  },
  async discard() {
    // The collector takes it.
  },
});

const inFile = (file: SpoolFile): Content => ({
  content: Bun.file(file.path),
  front: (bytesMax) => Bun.file(file.path).slice(0, bytesMax).bytes(),
  chunks: () => createReadStream(file.path, { highWaterMark: blockBytesMax }),
  discard: () => file.remove(),
});
