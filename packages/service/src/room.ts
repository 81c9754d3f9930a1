/** Room on the disk for more mail. */
import { statfsSync } from "node:fs";
import { Failure } from "@tyto/contracts";
import { z } from "zod";
import { count } from "./config.ts";

/** Settings of services that take mail. */
export const roomSettings = {
  /** A folder on the disk that NATS and Convex write to; unset where this machine cannot see it, and nobody looks then. */
  STORE_DIR: z.string().min(1).optional(),
  STORE_FREE_MB_MIN: count(256, 1_048_576),
};

export type StoreDisk = { dir: string; freeMbMin: number };

/** What the settings say of the disk; `undefined` when nobody looks. */
export const storeDiskOf = (read: {
  STORE_DIR?: string | undefined;
  STORE_FREE_MB_MIN: number;
}): StoreDisk | undefined =>
  read.STORE_DIR === undefined ? undefined : { dir: read.STORE_DIR, freeMbMin: read.STORE_FREE_MB_MIN };

/** Whole megabytes that programs of other users than root may still write on the disk of `dir`. Throws when there is no such folder. */
export function freeMbOn(dir: string): number {
  const { bavail, bsize } = statfsSync(dir);
  return Math.floor((bavail * bsize) / 1_048_576);
}

/**
 * Throws Failure `storage.full` while the disk has less room than mail that was taken may still need: what becomes of it
 * is stored, too, and a nats-server whose write failed for want of room stores nothing more until it is started again.
 */
export function refuseWithoutRoom(disk: StoreDisk | undefined): void {
  if (disk === undefined) return;
  const freeMb = freeMbOn(disk.dir);
  if (freeMb >= disk.freeMbMin) return;
  throw new Failure("storage.full", `${freeMb} MB free on the disk of ${disk.dir}`, {
    hint: `The server's disk has ${freeMb} MB left and mail is taken from ${disk.freeMbMin} MB on; free some of it, and send this again`,
    retryAfterS: 60,
  });
}
