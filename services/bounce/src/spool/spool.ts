/**
 * Where the bytes of a message wait until JetStream has them: a short one in memory, a longer one in a file that only we
 * can read. What a connection holds in memory is bounded, whatever its sender sends.
 */
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { Failure } from "@tyto/contracts";
import { refuseWithoutRoom, type StoreDisk } from "@tyto/service";
import type { Identity } from "../identity.ts";
import { createSweep, type Sweep } from "../sweep.ts";
import { Arrival } from "./arrival.ts";
import { ourFile, type Space, SpoolFile } from "./file.ts";

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

export type SpoolOptions = {
  dir: string;
  messageBytesMax: number;
  spoolBytesMax: number;
  /** The disk that messages go to from here. */
  storeDisk?: StoreDisk | undefined;
  sweep?: Sweep;
};

/** A sender over the limit is listened to for so long, so that most hear the refusal where they wait for it. */
const discardedBytesMax = 8_388_608;

/** Makes the folder and removes what a process before this one left there: of that, no sender was told 250. */
export async function openSpool({
  dir,
  messageBytesMax,
  spoolBytesMax,
  storeDisk,
  sweep = createSweep(),
}: SpoolOptions): Promise<Spool> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  for (const name of await readdir(dir)) if (ourFile.test(name)) await rm(join(dir, name), { force: true });
  const space: Space = { dir, bytesMax: spoolBytesMax, usedBytes: 0 };
  return {
    usedBytes: () => space.usedBytes,
    async receive(stream) {
      const file = new SpoolFile(space);
      try {
        return await receive(stream, file, { messageBytesMax, storeDisk, sweep });
      } catch (error) {
        await file.remove();
        throw error;
      }
    },
  };
}

/** The file is left to the caller when this throws. */
async function receive(
  stream: AsyncIterable<Uint8Array>,
  file: SpoolFile,
  {
    messageBytesMax,
    storeDisk,
    sweep,
  }: Required<Pick<SpoolOptions, "messageBytesMax" | "storeDisk" | "sweep">>,
): Promise<Spooled> {
  const arrival = new Arrival(file);
  let bytes = 0;
  let problem = await failureOf(async () => refuseWithoutRoom(storeDisk));
  for await (const chunk of stream) {
    bytes += chunk.length;
    sweep(chunk.length);
    if (problem === undefined) {
      problem =
        bytes > messageBytesMax
          ? new Failure("request.too-large", `more than ${messageBytesMax} bytes`)
          : await failureOf(() => arrival.add(chunk));
      // The rest is read, and not kept.
      if (problem !== undefined) await file.remove();
    }
    if (problem !== undefined && bytes > messageBytesMax + discardedBytesMax) throw problem;
  }
  if (problem !== undefined) throw problem;
  return await arrival.end();
}

/** The Failure that `step` ends with, if it does. Throws any other error. */
async function failureOf(step: () => Promise<void>): Promise<Failure | undefined> {
  try {
    await step();
    return undefined;
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
}
