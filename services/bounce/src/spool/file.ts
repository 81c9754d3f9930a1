import { randomUUID } from "node:crypto";
import { type FileHandle, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { Failure } from "@tyto/contracts";

/** The folder of all files, and how much is in them. */
export type Space = { readonly dir: string; readonly bytesMax: number; usedBytes: number };

export const ourFile = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.eml$/;

/** A file that grows block by block; its bytes count until it is gone. */
export class SpoolFile {
  readonly #space: Space;
  readonly path: string;
  #handle: FileHandle | undefined;
  #isThere = false;
  #bytes = 0;

  constructor(space: Space) {
    this.#space = space;
    this.path = join(space.dir, `${randomUUID()}.eml`);
  }

  /** Throws Failure `storage.full`. */
  async append(block: Uint8Array): Promise<void> {
    const space = this.#space;
    if (space.usedBytes + block.length > space.bytesMax)
      throw new Failure("storage.full", `the spool holds ${space.bytesMax} bytes`);
    space.usedBytes += block.length;
    this.#bytes += block.length;
    try {
      this.#handle ??= await open(this.path, "wx", 0o600);
      this.#isThere = true;
      for (let at = 0; at < block.length; ) at += (await this.#handle.write(block, at)).bytesWritten;
    } catch (error) {
      throw isDiskFull(error)
        ? new Failure("storage.full", "the disk of the spool is full", { cause: error })
        : error;
    }
  }

  async close(): Promise<void> {
    await this.#handle?.close();
    this.#handle = undefined;
  }

  async remove(): Promise<void> {
    if (!this.#isThere) return;
    this.#isThere = false;
    await this.#handle?.close().catch(() => {
      // Nobody needs what is in it any more.
    });
    this.#handle = undefined;
    await rm(this.path, { force: true });
    this.#space.usedBytes -= this.#bytes;
  }
}

const isDiskFull = (error: unknown) =>
  error instanceof Error && "code" in error && (error.code === "ENOSPC" || error.code === "EDQUOT");
