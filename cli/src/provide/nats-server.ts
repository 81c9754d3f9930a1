import { chmod, mkdir, rename, symlink } from "node:fs/promises";
import { join, relative } from "node:path";
import { Trouble } from "../trouble.ts";
import { isDebian, ownSources, suitesOf, withApt } from "./debian.ts";
import type { Machine, Provided } from "./machine.ts";
import { formatVersion, isAtLeast, parseVersion, type Version } from "./version.ts";

/** Older servers take scheduled messages, store them and never fire them: retries would be lost. */
const least: Version = [2, 14, 0];

/** Suites of Debian that may have it, the most settled first. */
const suites = ["stable-backports", "testing", "unstable"];

const mend =
  "install nats-server 2.14 or newer (https://docs.nats.io/running-a-nats-service/introduction/installation) and put it on PATH";

/** nats-server ≥ 2.14: on PATH, else in the cache, else from one of Debian's newer suites. */
export async function provideNatsServer(machine: Machine): Promise<Provided> {
  const cached = join(machine.cacheDir, "bin/nats-server");
  for (const candidate of [machine.which("nats-server"), cached]) {
    const found = candidate && (await inspectNatsServer(machine, candidate));
    if (found) return found;
  }
  if (!isDebian(machine))
    return { kind: "missing", reason: "nats-server 2.14 or newer is not on PATH", mend };

  const home = join(machine.cacheDir, "packages/nats-server");
  const problems: string[] = [];
  for (const source of suitesOf(await ownSources(machine), suites)) {
    machine.say(`looking for nats-server in Debian ${source.suite}`);
    try {
      const done = await withApt(machine, [source], async (apt) => {
        const offered = parseVersion((await apt.offered("nats-server")) ?? "");
        if (!offered || !isAtLeast(offered, least)) return false;
        await mkdir(join(machine.cacheDir, "packages"), { recursive: true });
        await apt.unpack("nats-server", home);
        return true;
      });
      if (!done) continue;
    } catch (error) {
      if (!(error instanceof Trouble)) throw error;
      problems.push(`${source.suite}: ${error.message}`);
      continue;
    }
    const program = join(home, "usr/sbin/nats-server");
    await chmod(program, 0o755);
    await link(program, cached);
    const found = await inspectNatsServer(machine, cached);
    if (found) return found;
    problems.push(`${source.suite}: its nats-server does not run on this release`);
  }
  const why = problems.length > 0 ? `:\n${problems.join("\n")}` : "";
  return { kind: "missing", reason: `no suite of Debian offered nats-server 2.14 or newer${why}`, mend };
}

/** The nats-server at a path, if it runs and is new enough. */
export async function inspectNatsServer(machine: Machine, path: string): Promise<Provided | undefined> {
  const outcome = await machine.run([path, "--version"]).catch(() => undefined); // not there, or not for this processor
  const version = outcome?.code === 0 ? parseVersion(outcome.stdout) : undefined;
  return version && isAtLeast(version, least)
    ? { kind: "there", path, version: formatVersion(version) }
    : undefined;
}

/** Puts a symbolic link in place in one step, whatever was there. */
async function link(target: string, path: string): Promise<void> {
  const directory = join(path, "..");
  await mkdir(directory, { recursive: true });
  const beside = `${path}.${process.pid}`;
  await symlink(relative(directory, target), beside);
  await rename(beside, path);
}
