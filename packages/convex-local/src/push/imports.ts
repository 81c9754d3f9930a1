import { isBuiltin } from "node:module";
import { UserError } from "../functions/errors.ts";
import type { ModuleRow } from "../store/tables.ts";

/** What queries and mutations have of Node: a context that follows asynchronous calls. */
const EVERYWHERE = new Set(["async_hooks", "node:async_hooks"]);

/**
 * Refuses modules that are not marked "use node" and import from Node or Bun: they would run here, and not on the
 * official backend. The official bundler leaves no such import, other ways of bundling may. Throws UserError.
 */
export function refuseNodeImports(rows: readonly ModuleRow[]): void {
  const transpiler = new Bun.Transpiler({ loader: "js" });
  for (const { path, environment, source } of rows) {
    if (environment === "node") continue;
    const found = transpiler
      .scanImports(source)
      .find((imported) => imported.kind !== "dynamic-import" && isNodes(imported.path));
    if (found === undefined) continue;
    throw new UserError(
      "InvalidModules",
      `${path} imports ${JSON.stringify(found.path)}, which only actions in files that begin with "use node" can`,
    );
  }
}

const isNodes = (path: string) =>
  !EVERYWHERE.has(path) && (isBuiltin(path) || path === "bun" || path.startsWith("bun:"));
