import type { Definition } from "../components/definition.ts";
import { exportsOf } from "../components/exports.ts";
import type { Instance } from "../components/tree.ts";
import type { SchemaJson } from "../functions/schema.ts";
import { routerOf } from "../http/router.ts";
import type { CronDiff, CronSpec } from "../schedule/crons.ts";
import type { ModuleRow } from "../store/tables.ts";
import { writeInt64 } from "../values/wire.ts";
import type { AnalyzedModule } from "./analysis.ts";
import type { Bundle } from "./bundle.ts";
import type { IndexDiff } from "./index-diff.ts";

type Schema = { text: string; schema: SchemaJson };

/** The code of one definition, analysed. */
export type Part = {
  definition: Definition;
  rows: ModuleRow[];
  schema: Schema | null;
  functions: Record<string, AnalyzedModule>;
  crons: Record<string, CronSpec>;
  serverVersion: string;
};

/** One component with its own copy of the code: what modules keep is not shared. */
export type Loaded = { instance: Instance; bundle: Bundle };

/** What the CLI learns of a definition. */
export function describePart(path: string, { definition, schema, functions, serverVersion }: Part) {
  return {
    definition: { path, ...definition, exports: exportsOf(functions) },
    schema: schema === null ? null : JSON.parse(schema.text),
    functions,
    udfConfig: {
      serverVersion,
      importPhaseRngSeed: { $bytes: "" },
      importPhaseUnixTimestamp: writeInt64(0n),
    },
  };
}

type DescribedInstance = {
  definitionPath: string;
  componentPath: string;
  args: Record<string, never>;
  childComponents: Record<string, DescribedInstance>;
  httpRoutes: { httpModuleRoutes: { path: string; method: string }[] | null; mounts: string[] };
  exports: Record<string, never>;
};

/** A component and those below it, as the official CLI reads them in the answer to a push. */
export function describeInstance(instance: Instance, loaded: readonly Loaded[]): DescribedInstance {
  const { path, definitionPath, children, mounts } = instance;
  const http = loaded.find((other) => other.instance === instance)?.bundle.modules.get("http");
  const routes = routerOf(http)?.getRoutes();
  return {
    definitionPath,
    componentPath: path,
    args: {},
    childComponents: Object.fromEntries(
      children.map((child) => [child.path.split("/").at(-1) ?? "", describeInstance(child, loaded)]),
    ),
    httpRoutes: {
      httpModuleRoutes: routes?.map(([route, method]) => ({ path: route, method })) ?? null,
      mounts: mounts.map(({ prefix }) => prefix),
    },
    exports: {},
  };
}

type Change = {
  type: "create" | "modify" | "remount" | "unmount";
  crons?: CronDiff | undefined;
  indexes?: IndexDiff | undefined;
};

/** What a push does to one component, whose modules are listed as before and after. */
export const componentDiff = (
  { type, crons, indexes }: Change,
  before: readonly string[],
  after: readonly string[],
) => ({
  diffType: { type },
  moduleDiff: listDiff(before, after),
  udfConfigDiff: null,
  cronDiff: crons ?? { added: [], updated: [], deleted: [] },
  indexDiff: indexes ?? { added_indexes: [], removed_indexes: [] },
  schemaDiff: null,
});

export const listDiff = (before: readonly string[], after: readonly string[]) => ({
  added: after.filter((item) => !before.includes(item)),
  removed: before.filter((item) => !after.includes(item)),
});
