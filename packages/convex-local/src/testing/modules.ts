import { existsSync } from "node:fs";
import { join } from "node:path";
import type { GenericSchema, SchemaDefinition } from "convex/server";
import { emptyComponent, ROOT } from "../components/component.ts";
import type { Deployment } from "../deployment.ts";
import { FILES_TABLE } from "../files/files.ts";
import type { Exports } from "../functions/module.ts";
import { withLoadingEnvironment } from "../functions/sandbox.ts";
import { applySchema, SchemaJson } from "../functions/schema.ts";
import { JOBS_TABLE } from "../schedule/scheduler.ts";

/** Modules by path, as a glob gives them: `{"./messages.ts": () => import("./messages.ts")}`. */
export type ModuleLoaders = Record<string, () => Promise<unknown>>;
export type AnySchema = SchemaDefinition<GenericSchema, boolean>;

const FILE_EXTENSION = /\.(?:[cm]?[jt]s|tsx|jsx)$/;

/** All modules below a directory: what `import.meta.glob("./**\/*.*s")` gives elsewhere. */
export function modulesIn(directory: string): ModuleLoaders {
  const files = [...new Bun.Glob("**/*.{ts,js,tsx,jsx,mts,mjs}").scanSync(directory)].filter(
    (file) => !file.endsWith(".d.ts") && !file.includes("node_modules/"),
  );
  return Object.fromEntries(files.map((file) => [`./${file}`, () => import(join(directory, file))]));
}

/** The functions of the project around the working directory. */
export function projectModules(): ModuleLoaders {
  const directory = join(process.cwd(), "convex");
  if (!existsSync(directory)) {
    throw new Error(
      `There is no ${directory}; give convexTest the modules, as modulesIn(import.meta.dir) does`,
    );
  }
  return modulesIn(directory);
}

/** Loads modules into a component of the deployment; paths are taken from the folder that holds `_generated`. */
export async function loadComponent(
  deployment: Deployment,
  path: string,
  schema: AnySchema | undefined,
  loaders: ModuleLoaders,
): Promise<void> {
  const root = rootOf(Object.keys(loaders));
  const modules = new Map<string, Exports>();
  for (const [file, loader] of Object.entries(loaders)) {
    const name = file.slice(root.length).replace(FILE_EXTENSION, "");
    // "x.test.ts", "_generated/…": not entry points for the CLI either.
    if (!file.startsWith(root) || name.includes(".") || name.startsWith("_generated/")) continue;
    const exports = await withLoadingEnvironment(deployment.environment.visible(path), loader);
    modules.set(name, exports as Exports);
  }
  await deployment.runner.transact((transaction) => {
    const { store } = deployment;
    transaction.changeCatalog();
    for (const name of path === ROOT ? [] : [JOBS_TABLE, FILES_TABLE]) {
      if (store.table(path, name) === undefined) store.createTable(path, name);
    }
    const exported = schema as unknown as { export(): string } | undefined;
    const parsed = exported === undefined ? null : SchemaJson.parse(JSON.parse(exported.export()));
    applySchema(store, path, parsed);
    deployment.components.set(path, { ...emptyComponent(path), schema: parsed, modules });
  });
}

function rootOf(files: readonly string[]): string {
  const generated = files.find((file) => file.includes("_generated/"));
  if (generated !== undefined) return generated.slice(0, generated.indexOf("_generated/"));
  return files.every((file) => file.startsWith("./")) ? "./" : "";
}
