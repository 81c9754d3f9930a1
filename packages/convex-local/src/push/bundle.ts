import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { UserError } from "../functions/errors.ts";
import type { Exports } from "../functions/module.ts";
import { timers, withLoadingEnvironment } from "../functions/sandbox.ts";
import type { ModuleRow } from "../store/tables.ts";

export type Source = Pick<ModuleRow, "path" | "source"> & Partial<Pick<ModuleRow, "environment">>;

/** Modules by path without extension. */
export type Loaded = ReadonlyMap<string, Exports>;
/** A loaded bundle; its directory must stay while functions may still import from it. */
export type Bundle = { modules: Loaded; nodeModules: ReadonlySet<string>; directory: string };

const SAFE_PATH = /^(?:[\w.-]+\/)*[\w.-]+\.js$/;

/** For what modules do when they are imported, such as an await at their top. */
const LOAD_MS_MAX = 30_000;

/** Ends when the bundles that were asked for so far are loaded, or have failed to. */
let loading: Promise<unknown> = Promise.resolve();

/**
 * Writes a bundle to a directory of its own and imports its entry points. A directory per load, because a module
 * is cached by its path for the life of the process. One bundle at a time: what modules see as environment while
 * they load is one value for the process.
 */
export function loadBundle(
  dataDir: string | null,
  sources: readonly Source[],
  environment: Readonly<Record<string, string>>,
): Promise<Bundle> {
  const loaded = loading.then(() => loadNow(dataDir, sources, environment));
  loading = loaded.catch(() => {}); // Whoever has asked for it has the error.
  return loaded;
}

async function loadNow(
  dataDir: string | null,
  sources: readonly Source[],
  environment: Readonly<Record<string, string>>,
): Promise<Bundle> {
  const parent = bundlesDirectory(dataDir);
  mkdirSync(parent, { recursive: true });
  const directory = mkdtempSync(join(parent, "load-"));
  try {
    writeFileSync(join(directory, "package.json"), '{"type":"module"}');
    for (const { path, source } of sources) {
      if (!SAFE_PATH.test(path) || path.split("/").includes("..")) {
        throw new UserError("InvalidModule", `${JSON.stringify(path)} is not a module path`);
      }
      const file = join(directory, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, source);
    }
    return {
      modules: await withLoadingEnvironment(environment, () => inTime(importAll(directory, sources))),
      nodeModules: new Set(
        sources.filter(({ environment }) => environment === "node").map(({ path }) => nameOf(path)),
      ),
      directory,
    };
  } catch (error) {
    removeBundle(directory);
    throw error;
  }
}

const nameOf = (path: string) => path.slice(0, -".js".length);

export const removeBundle = (directory: string): void => rmSync(directory, { recursive: true, force: true });

/** Removes what an earlier process has left; the sources themselves are in the database. */
export function removeOldBundles(dataDir: string): void {
  rmSync(bundlesDirectory(dataDir), { recursive: true, force: true });
}

const bundlesDirectory = (dataDir: string | null) =>
  dataDir === null ? join(tmpdir(), `convex-local-${process.pid}`) : join(dataDir, "modules");

async function inTime<T>(work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof timers.setTimeout> | undefined;
  const tooLong = new Promise<never>((_, reject) => {
    timer = timers.setTimeout(
      () => reject(new UserError("InvalidModules", `Modules did not load within ${LOAD_MS_MAX} ms`)),
      LOAD_MS_MAX,
    );
  });
  try {
    return await Promise.race([work, tooLong]);
  } finally {
    timers.clearTimeout(timer);
  }
}

async function importAll(directory: string, sources: readonly Source[]): Promise<Loaded> {
  const loaded = new Map<string, Exports>();
  for (const { path } of sources) {
    if (path.startsWith("_deps/")) continue;
    try {
      const url = pathToFileURL(join(directory, path)).href;
      loaded.set(nameOf(path), (await import(url)) as Exports);
    } catch (error) {
      const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      throw new UserError("InvalidModules", `Failed to analyze ${path}: Uncaught ${reason}`);
    }
  }
  return loaded;
}
