import { createCipheriv, randomBytes, randomFillSync } from "node:crypto";

const BLOCK_BYTES = 256;

/**
 * Randomness for one function: the same seed gives the same bytes when the function runs again, and without the
 * seed nobody can guess them (AES-256 in counter mode), since functions make tokens from it.
 */
export class SeededRandom {
  readonly #seed: Uint8Array;
  #cipher: ReturnType<typeof createCipheriv> | undefined;
  #block: Buffer = Buffer.alloc(0);
  #at = 0;

  constructor(seed: Uint8Array = randomBytes(32)) {
    this.#seed = seed;
  }

  fill(bytes: Uint8Array): void {
    for (let filled = 0; filled < bytes.byteLength; ) {
      if (this.#at >= this.#block.byteLength) this.#next();
      const part = this.#block.subarray(this.#at, this.#at + bytes.byteLength - filled);
      bytes.set(part, filled);
      filled += part.byteLength;
      this.#at += part.byteLength;
    }
  }

  /** A number from 0 up to 1, as Math.random gives it. */
  number(): number {
    const bytes = Buffer.alloc(8);
    this.fill(bytes);
    return Number(bytes.readBigUInt64BE(0) >> 11n) / 2 ** 53;
  }

  #next(): void {
    this.#cipher ??= createCipheriv("aes-256-ctr", this.#seed, Buffer.alloc(16));
    this.#block = this.#cipher.update(Buffer.alloc(BLOCK_BYTES));
    this.#at = 0;
  }
}

const POOL_BYTES = 4096;
const pool = new Uint8Array(POOL_BYTES);
let poolAt = POOL_BYTES;

/** Fills up to 4,096 bytes with the system's randomness, which is fetched in larger pieces. */
export function fillRandom(bytes: Uint8Array): void {
  if (poolAt + bytes.byteLength > POOL_BYTES) {
    randomFillSync(pool);
    poolAt = 0;
  }
  const start = poolAt;
  poolAt += bytes.byteLength;
  bytes.set(pool.subarray(start, poolAt));
  // Nobody gets the same bytes again, nor finds them in memory.
  pool.fill(0, start, poolAt);
}
