import { createHash } from "node:crypto";
import { z } from "zod";
import { UserError } from "../functions/errors.ts";
import type { ModuleRow } from "../store/tables.ts";

const ModuleConfig = z.object({
  path: z.string(),
  source: z.string(),
  sourceMap: z.string().nullish(),
  environment: z.enum(["isolate", "node"]),
});
type ModuleConfig = z.infer<typeof ModuleConfig>;

/** What `convex deploy`, `dev` and `codegen` send. */
export const StartPush = z.object({
  dryRun: z.boolean().default(false),
  appDefinition: z.object({
    definition: ModuleConfig.nullable(),
    dependencies: z.array(z.string()).default([]),
    schema: ModuleConfig.nullable(),
    changedModules: z.array(ModuleConfig),
    unchangedModuleHashes: z.array(
      z.object({ path: z.string(), environment: z.enum(["isolate", "node"]), sha256: z.string() }),
    ),
    udfServerVersion: z.string(),
  }),
  componentDefinitions: z.array(
    z.object({
      definitionPath: z.string().min(1),
      definition: ModuleConfig,
      dependencies: z.array(z.string()).default([]),
      schema: ModuleConfig.nullable(),
      functions: z.array(ModuleConfig),
      udfServerVersion: z.string(),
    }),
  ),
  nodeDependencies: z.array(z.object({ name: z.string(), version: z.string() })).default([]),
});
export type StartPush = z.infer<typeof StartPush>;

export const SCHEMA_PATH = "schema.js";

/** Packages that "use node" files import from outside their bundle would have to be installed here. */
export function refuseExternalPackages({ nodeDependencies }: StartPush): void {
  if (nodeDependencies.length === 0) return;
  const names = nodeDependencies.map(({ name, version }) => `${name}@${version}`).join(", ");
  throw new UserError(
    "ExternalPackagesNotSupported",
    `This deployment does not install packages (${names}). Remove "node.externalPackages" from convex.json, ` +
      "so that they are bundled into the functions; packages with native code cannot be used.",
  );
}

/** The modules of one definition as rows, its schema among them. */
export function withSchema(
  component: string,
  functions: readonly ModuleConfig[],
  schema: ModuleConfig | null,
): ModuleRow[] {
  const rows = functions.map((module) => rowOf(component, module));
  if (schema !== null) rows.push(rowOf(component, { ...schema, path: SCHEMA_PATH }));
  return rows;
}

function rowOf(component: string, { path, source, sourceMap, environment }: ModuleConfig): ModuleRow {
  const hash = createHash("sha256")
    .update(source)
    .update(sourceMap ?? "");
  return { component, path, environment, source, sourceMap: sourceMap ?? null, sha256: hash.digest("hex") };
}
