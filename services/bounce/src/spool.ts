/**
 * Where the bytes of a message wait until JetStream has them: a short one in memory, a longer one in a file that only we
 * can read. What a connection holds in memory is bounded, whatever its sender sends.
 */
import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, mkdir, open, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { Failure } from "@tyto/contracts";
import { type Identity, identify } from "./identity.ts";
import { createSweep, type Sweep } from "./sweep.ts";

/** A message that is here in full. `discard` must be called, whatever became of it. */
export type Spooled = {
  bytes: number;
  /** The header section, unless it is longer than `headerBytesMax`. */
  header: Uint8Array | undefined;
  identity: Identity;
  /** The bytes as they came: in memory, or a file. */
  content: Uint8Array | Blob;
  /** The first `bytesMax` bytes. */
  front(bytesMax: number): Promise<Uint8Array>;
  chunks(): AsyncIterable<Uint8Array>;
  discard(): Promise<void>;
};

export type Spool = {
  /**
   * Takes a message to its end. Throws Failure `request.too-large` or `storage.full`, with the stream read to its end
   * where that is near, else at once.
   */
  receive(stream: AsyncIterable<Uint8Array>): Promise<Spooled>;
  /** Bytes in files at the moment. */
  usedBytes(): number;
};

export type SpoolOptions = { dir: string; messageBytesMax: number; spoolBytesMax: number; sweep?: Sweep };

/** Longer messages go to a file, in writes of this size. */
export const blockBytesMax = 65_536;
const blockBytesMin = 4_096;
/** A sender over the limit is listened to for so long, so that most hear the refusal where they wait for it. */
const discardedBytesMax = 8_388_608;

const ourFile = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.eml$/;

/** Makes the folder and removes what a process before this one left there: of that, no sender was told 250. */
export async function openSpool({
  dir,
  messageBytesMax,
  spoolBytesMax,
  sweep = createSweep(),
}: SpoolOptions): Promise<Spool> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  for (const name of await readdir(dir)) if (ourFile.test(name)) await rm(join(dir, name), { force: true });
  let usedBytes = 0;

  /** A file that grows block by block; its bytes count until it is gone. */
  function createFile() {
    const path = join(dir, `${randomUUID()}.eml`);
    let handle: FileHandle | undefined;
    let isThere = false;
    let bytes = 0;
    return {
      path,
      async append(block: Uint8Array) {
        if (usedBytes + block.length > spoolBytesMax)
          throw new Failure("storage.full", `the spool holds ${spoolBytesMax} bytes`);
        usedBytes += block.length;
        bytes += block.length;
        try {
          handle ??= await open(path, "wx", 0o600);
          isThere = true;
          for (let at = 0; at < block.length; ) at += (await handle.write(block, at)).bytesWritten;
        } catch (error) {
          throw isDiskFull(error)
            ? new Failure("storage.full", "the disk of the spool is full", { cause: error })
            : error;
        }
      },
      async close() {
        await handle?.close();
        handle = undefined;
      },
      async remove() {
        if (!isThere) return;
        isThere = false;
        await handle?.close().catch(() => {
          // Nobody needs what is in it any more.
        });
        handle = undefined;
        await rm(path, { force: true });
        usedBytes -= bytes;
      },
    };
  }

  return {
    usedBytes: () => usedBytes,
    async receive(stream) {
      const file = createFile();
      const identity = identify();
      let block = new Uint8Array(blockBytesMin);
      let filled = 0;
      let bytes = 0;
      let inFile = 0;
      let problem: Failure | undefined;

      const add = async (chunk: Uint8Array) => {
        for (let at = 0; at < chunk.length; ) {
          if (filled === block.length && filled < blockBytesMax) {
            const larger = new Uint8Array(Math.min(blockBytesMax, filled * 4));
            larger.set(block);
            block = larger;
          }
          const part = chunk.subarray(at, at + block.length - filled);
          block.set(part, filled);
          filled += part.length;
          at += part.length;
          if (filled < blockBytesMax) continue;
          identity.add(block);
          await file.append(block);
          inFile += filled;
          filled = 0;
        }
      };

      try {
        for await (const chunk of stream) {
          bytes += chunk.length;
          sweep(chunk.length);
          if (problem === undefined && bytes > messageBytesMax) {
            problem = new Failure("request.too-large", `more than ${messageBytesMax} bytes`);
            await file.remove();
          }
          if (problem !== undefined) {
            if (bytes > messageBytesMax + discardedBytesMax) throw problem;
            continue;
          }
          try {
            await add(chunk);
          } catch (error) {
            if (!(error instanceof Failure)) throw error;
            problem = error;
            await file.remove();
          }
        }
        if (problem !== undefined) throw problem;
        const rest = block.subarray(0, filled);
        identity.add(rest);
        if (inFile > 0) {
          if (filled > 0) await file.append(rest);
          await file.close();
        }
      } catch (error) {
        await file.remove();
        throw error;
      }
      const { header, digest } = identity.end();
      const inMemory = inFile === 0 ? block.slice(0, filled) : undefined;
      return {
        bytes,
        header,
        identity: digest,
        content: inMemory ?? Bun.file(file.path),
        front: async (bytesMax) =>
          inMemory?.subarray(0, bytesMax) ?? (await Bun.file(file.path).slice(0, bytesMax).bytes()),
        chunks: () =>
          inMemory === undefined
            ? createReadStream(file.path, { highWaterMark: blockBytesMax })
            : one(inMemory),
        discard: () => file.remove(),
      };
    },
  };
}

async function* one(bytes: Uint8Array) {
  yield bytes;
}

const isDiskFull = (error: unknown) =>
  error instanceof Error && "code" in error && (error.code === "ENOSPC" || error.code === "EDQUOT");
