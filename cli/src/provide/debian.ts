/**
 * Debian packages without installing them: downloaded through the mirror that this machine is configured for,
 * checked against Debian's signature by apt, unpacked into Tyto's cache. Needs no root and changes nothing outside.
 */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { lastLines } from "../run.ts";
import { Trouble } from "../trouble.ts";
import type { Machine } from "./machine.ts";

/** One line of sources.list: which archive, which suite. */
export type Source = { uri: string; suite: string };

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";

export function isDebian(machine: Machine): boolean {
  return machine.which("apt-get") !== undefined && machine.which("dpkg") !== undefined && existsSync(keyring);
}

/**
 * The Debian archives among apt's sources, from what `apt-get --print-uris update` would fetch. It needs neither root
 * nor package lists, and knows every form that sources are written in. An archive is known by its path, which every
 * mirror keeps: /debian/ or /debian-security/ (mirror lists of cloud images: debian.list).
 */
export function parseSources(uris: string): Source[] {
  const archive = /^'(\S+\/debian(?:-security)?(?:\.list)?)\/dists\/([^/']+)\/(?:In)?Release'/;
  return uris.split("\n").flatMap((line) => {
    const [, uri, suite] = archive.exec(line) ?? [];
    return uri && suite ? [{ uri: `${uri}/`, suite }] : [];
  });
}

/** The sources of this machine's own release. */
export async function ownSources(machine: Machine): Promise<Source[]> {
  const listed = await machine.run(["apt-get", "--print-uris", "update"]);
  const sources = parseSources(listed.stdout);
  if (sources.length === 0)
    throw new Trouble(
      "apt on this machine knows no Debian mirror",
      "add one to /etc/apt/sources.list, then try again",
    );
  return sources;
}

/** Other suites of the machine's main mirror. */
export function suitesOf(sources: readonly Source[], suites: readonly string[]): Source[] {
  const mirror = sources.find(({ uri }) => !uri.includes("debian-security"));
  return mirror ? suites.map((suite) => ({ uri: mirror.uri, suite })) : [];
}

/** `nats-server | 2.15.1-1 | http://... unstable/main amd64 Packages` → `2.15.1-1`. */
export function parseMadison(text: string): string | undefined {
  return text.split("\n")[0]?.split("|")[1]?.trim() || undefined;
}

/** apt with package lists of its own. */
export type Apt = {
  /** The version on offer, if any. */
  offered(name: string): Promise<string | undefined>;
  /** Downloads the package, with those that it needs and this machine lacks when `withMissing`, and unpacks them. */
  unpack(name: string, into: string, options?: { withMissing: boolean }): Promise<void>;
};

/** Lends an apt that sees only `sources`; its lists (some 40 MB) are removed afterwards. */
export async function withApt<T>(
  machine: Machine,
  sources: readonly Source[],
  use: (apt: Apt) => Promise<T>,
): Promise<T> {
  await mkdir(machine.cacheDir, { recursive: true });
  const home = await mkdtemp(join(machine.cacheDir, "apt-"));
  try {
    return await use(await openApt(machine, sources, home));
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}

async function openApt(machine: Machine, sources: readonly Source[], home: string): Promise<Apt> {
  const archives = join(home, "cache/archives");
  await mkdir(join(archives, "partial"), { recursive: true });
  await mkdir(join(home, "lists/partial"), { recursive: true });
  await writeFile(
    join(home, "sources.list"),
    sources.map(({ uri, suite }) => `deb [signed-by=${keyring}] ${uri} ${suite} main\n`).join(""),
  );
  const options = [
    `Dir::Etc::SourceList=${home}/sources.list`,
    "Dir::Etc::SourceParts=/dev/null",
    `Dir::State::Lists=${home}/lists`,
    `Dir::Cache=${home}/cache`,
    "Acquire::Languages=none",
    "APT::Install-Recommends=false",
    // Everything lies in a private folder: no other apt can be in the way, and none of it needs root.
    "Debug::NoLocking=true",
    ...(machine.isRoot ? ["APT::Sandbox::User=root"] : []),
  ].flatMap((option) => ["-o", option]);
  const apt = async (program: "apt-get" | "apt-cache", ...rest: string[]) => {
    const outcome = await machine.run([program, ...options, ...rest], { cwd: archives });
    if (outcome.code !== 0) throw new Trouble(`${program} ${rest.join(" ")} failed:\n${lastLines(outcome)}`);
    return outcome.stdout;
  };
  const update = (...more: string[]) => apt("apt-get", ...more, "-qq", "--error-on=any", "update");
  await update().catch((error: unknown) => {
    // A mirror that stands still (a snapshot, a machine without the internet) outlives its lists' dates. Their signatures
    // are checked all the same.
    if (error instanceof Trouble && error.message.includes("is expired"))
      return update("-o", "Acquire::Check-Valid-Until=false");
    throw error;
  });

  return {
    offered: async (name) => parseMadison(await apt("apt-cache", "madison", name)),
    unpack: async (name, into, { withMissing } = { withMissing: false }) => {
      if (withMissing) await apt("apt-get", "-qq", "-y", "--download-only", "install", name);
      else await apt("apt-get", "-qq", "download", name);
      const files = (await readdir(archives)).filter((file) => file.endsWith(".deb"));
      if (files.length === 0) throw new Trouble(`apt downloaded nothing for ${name}`);
      // Unpacked beside its place and moved there whole, so that a broken-off attempt leaves nothing half done.
      const beside = await mkdtemp(join(machine.cacheDir, "unpack-"));
      for (const file of files) {
        const unpacked = await machine.run(["dpkg", "-x", join(archives, file), beside]);
        if (unpacked.code !== 0) throw new Trouble(`${file} cannot be unpacked:\n${lastLines(unpacked)}`);
        await rm(join(archives, file));
      }
      await rm(into, { recursive: true, force: true });
      await rename(beside, into);
    },
  };
}
