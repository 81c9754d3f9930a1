import { rmSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import type { Deployment } from "../deployment.ts";
import { UserError } from "../functions/errors.ts";
import { type FunctionObject, functionObject, kindOfFunction } from "../functions/module.ts";
import { withLoadingEnvironment } from "../functions/sandbox.ts";

/** What such modules may import; the official CLI adds the line by itself. */
const WRAPPERS = "convex:/_system/repl/wrappers.js";
const WRAPPERS_URL = pathToFileURL(`${import.meta.dir}/repl-wrappers.ts`).href;

/** Loads the source of a module and gives the query that it exports. Throws UserError. */
export async function loadInlineQuery(
  { snapshots, environment, components }: Deployment,
  component: string,
  source: string,
): Promise<FunctionObject> {
  if (!components.has(component)) {
    throw new UserError("ComponentNotFound", `There is no component ${component} in this deployment`);
  }
  // A name of its own for each, because modules are cached by their path.
  const path = snapshots.place(`inline-${crypto.randomUUID()}.js`);
  writeFileSync(path, source.replaceAll(WRAPPERS, WRAPPERS_URL), { mode: 0o600 });
  try {
    const load = () => import(pathToFileURL(path).href) as Promise<Record<string, unknown>>;
    const exports = await withLoadingEnvironment(environment.visible(component), load);
    const found = functionObject(exports.default);
    if (found !== undefined && kindOfFunction(found) === "query") return found;
  } catch (error) {
    const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    throw new UserError("InvalidModules", `The query could not be loaded: ${reason}`);
  } finally {
    rmSync(path, { force: true });
  }
  throw new UserError("InvalidModules", "The module must have a query as its default export");
}
