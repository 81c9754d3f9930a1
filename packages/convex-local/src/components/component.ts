import type { Modules } from "../functions/module.ts";
import type { SchemaJson } from "../functions/schema.ts";
import type { Json } from "../values/wire.ts";

/** HTTP paths under `prefix`, which ends with a slash, are answered by the component at `component`. */
export type Mount = { prefix: string; component: string };

/**
 * One installed set of functions with its schema, tables and files. The app itself is the component "", a child
 * has the path of its parent, a slash and its name: "a/b". Two components may run the same code.
 */
export type Component = {
  path: string;
  schema: SchemaJson | null;
  modules: Modules;
  /** Modules, as in `modules`, that begin with "use node". */
  nodeModules?: ReadonlySet<string>;
  mounts?: readonly Mount[];
  /** The app's own routes are under this prefix, when it has one. */
  httpPrefix?: string | null;
  args?: Readonly<Record<string, Json>>;
};

export const ROOT = "";

/** A component without code: what a deployment has before its first push. */
export const emptyComponent = (path: string): Component => ({ path, schema: null, modules: new Map() });

export const childPath = (parent: string, name: string): string =>
  parent === ROOT ? name : `${parent}/${name}`;

export const parentPath = (path: string): string => path.slice(0, Math.max(path.lastIndexOf("/"), 0));
