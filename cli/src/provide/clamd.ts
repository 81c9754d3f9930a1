import { existsSync } from "node:fs";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isDebian, ownSources, withApt } from "./debian.ts";
import type { Machine, Provided } from "./machine.ts";
import { formatVersion, parseVersion } from "./version.ts";

const mend = "install ClamAV's daemon (Debian: apt-get install clamav-daemon) and put clamd on PATH";

/**
 * clamd and freshclam: on PATH, else in the cache, else Debian's clamav-daemon with the libraries that this machine
 * lacks, unpacked into the cache. Nothing is installed on the machine and no system service is started.
 */
export async function provideClamd(machine: Machine): Promise<Provided> {
  const found = await inspectClamd(machine);
  if (found) return found;
  if (!isDebian(machine)) return { kind: "missing", reason: "clamd is not on PATH", mend };

  machine.say("fetching clamd (Debian's clamav-daemon) into the cache");
  const home = join(machine.cacheDir, "packages/clamav");
  await mkdir(join(machine.cacheDir, "packages"), { recursive: true });
  await withApt(machine, await ownSources(machine), (apt) =>
    apt.unpack("clamav-daemon", home, { withMissing: true }),
  );
  await writeWrapper(machine, "clamd", join(home, "usr/sbin/clamd"), home);
  await writeWrapper(machine, "freshclam", join(home, "usr/bin/freshclam"), home);
  return (
    (await inspectClamd(machine)) ?? {
      kind: "missing",
      reason: "the clamd of Debian's clamav-daemon does not run from the cache",
      mend,
    }
  );
}

/** The clamd of this machine or of the cache, if it runs. */
export async function inspectClamd(machine: Machine): Promise<Provided | undefined> {
  const path = machine.which("clamd");
  if (!path) return undefined;
  // Without a configuration it refuses to tell even its version; an empty one will do.
  const outcome = await machine.run([path, "--config-file=/dev/null", "--version"]);
  const version = outcome.code === 0 ? parseVersion(outcome.stdout) : undefined;
  return version ? { kind: "there", path, version: formatVersion(version) } : undefined;
}

/** A script that gives the program its unpacked libraries and keeps its process id. */
async function writeWrapper(machine: Machine, name: string, program: string, home: string): Promise<void> {
  if (!existsSync(program)) return;
  const libraries = ["usr/lib", "lib"].flatMap((prefix) =>
    ["x86_64-linux-gnu", "aarch64-linux-gnu", ""].map((triplet) => join(home, prefix, triplet)),
  );
  const path = join(machine.cacheDir, "bin", name);
  await mkdir(join(path, ".."), { recursive: true });
  const text = [
    "#!/bin/sh",
    `LD_LIBRARY_PATH='${libraries.filter((directory) => existsSync(directory)).join(":")}'\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}`,
    "export LD_LIBRARY_PATH",
    `exec '${program}' "$@"`,
    "",
  ].join("\n");
  await writeFile(`${path}.${process.pid}`, text, { mode: 0o755 });
  await rename(`${path}.${process.pid}`, path);
}
