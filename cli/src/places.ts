import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join, resolve } from "node:path";

/** An environment as a process sees it. */
export type Environment = Record<string, string | undefined>;

/** Where things lie on this machine. Only `environment()` reads the process's own environment. */
export type Places = {
  /** The checkout. */
  root: string;
  /** What an installation keeps: secrets, NATS and Convex data, logs of builds. */
  dataDir: string;
  /** Programs and signatures that Tyto fetched; may be deleted at any time. */
  cacheDir: string;
};

export const root = resolve(import.meta.dir, "../..");

export const environment = (): Environment => process.env;

export function places(env: Environment): Places {
  return {
    root,
    dataDir: resolve(env.TYTO_DATA || join(root, "data")),
    cacheDir: join(env.XDG_CACHE_HOME || join(env.HOME || homedir(), ".cache"), "tyto"),
  };
}

/** The search path of everything that Tyto starts. Debian keeps servers in sbin, which people's own PATH lacks. */
export function searchPath(env: Environment, cacheDir: string): string {
  const given = (env.PATH ?? "").split(delimiter).filter((entry) => entry !== "");
  return [...new Set([...given, "/usr/local/sbin", "/usr/sbin", "/sbin", join(cacheDir, "bin")])].join(
    delimiter,
  );
}

/** The first of `programs` on `path`, as an absolute path. */
export function which(path: string, ...programs: string[]): string | undefined {
  for (const program of programs)
    for (const directory of path.split(delimiter)) {
      const candidate = join(directory, program);
      if (existsSync(candidate)) return candidate;
    }
  return undefined;
}
