/** A disk of its own that can be filled: a tmpfs, which only root may mount. */
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type SmallDisk = {
  dir: string;
  /** Fills it until `bytes` are free. */
  leave(bytes: number): void;
  /** Takes back what `leave` filled. */
  free(): void;
  remove(): void;
};

const mebibyte = 1_048_576;

/** The disk, or why there can be none here. */
export function makeSmallDisk(sizeMb: number): SmallDisk | { missing: string } {
  const dir = mkdtempSync(join(tmpdir(), "tyto-disk-"));
  const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", `size=${sizeMb}m`, "tmpfs", dir]);
  if (!mounted.success) {
    rmSync(dir, { recursive: true });
    return { missing: `no disk can be made here that may be filled (${mounted.stderr.toString().trim()})` };
  }
  const ballast = join(dir, "ballast");
  mkdirSync(ballast);
  let pieces = 0;
  const fill = (bytes: number) => writeFileSync(join(ballast, String(pieces++)), new Uint8Array(bytes));
  return {
    dir,
    leave(bytes) {
      const { bavail, bsize } = statfsSync(dir);
      for (let left = bavail * bsize - bytes; left > 0; left -= mebibyte)
        try {
          fill(Math.min(left, mebibyte));
        } catch (error) {
          // Others write, too: then it is full a little earlier.
          if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
          return;
        }
    },
    free() {
      rmSync(ballast, { recursive: true });
      mkdirSync(ballast);
    },
    remove() {
      Bun.spawnSync(["umount", "-l", dir]);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
