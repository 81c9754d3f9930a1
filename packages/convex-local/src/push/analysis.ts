import { z } from "zod";
import { type AuthConfig, AuthConfig as AuthConfigSchema } from "../auth/providers.ts";
import { UserError } from "../functions/errors.ts";
import { describeFunction, type Exports, functionObject } from "../functions/module.ts";
import { SchemaJson } from "../functions/schema.ts";
import { schemaProblem } from "../functions/schema-rules.ts";
import { routerOf } from "../http/router.ts";
import { CronSpec } from "../schedule/crons.ts";
import type { ModuleRow } from "../store/tables.ts";
import type { Loaded } from "./bundle.ts";

const TYPES = { query: "Query", mutation: "Mutation", action: "Action" } as const;

export type AnalyzedModule = ReturnType<typeof analyzeModule>;

/** What the CLI wants to know of each module: it generates types and prints differences from it. */
export function analyzeModules(loaded: Loaded): Record<string, AnalyzedModule> {
  return Object.fromEntries(
    [...loaded]
      .filter(([name]) => name !== "schema" && name !== "auth.config")
      .map(([name, exports]) => [`${name}.js`, analyzeModule(name, exports)]),
  );
}

/** Files that begin with "use node" hold actions only. Throws UserError. */
export function requireActions(
  analyzed: Record<string, AnalyzedModule>,
  rows: readonly Pick<ModuleRow, "path" | "environment">[],
): void {
  for (const { path, environment } of rows) {
    if (environment !== "node") continue;
    const other = analyzed[path]?.functions.find(({ udfType }) => udfType !== "Action");
    if (other === undefined) continue;
    throw new UserError(
      "InvalidModules",
      `\`${other.name}\` defined in \`${path}\` is a ${other.udfType} function. ` +
        'Only actions can be defined in files that begin with "use node".',
    );
  }
}

function analyzeModule(name: string, exports: Exports) {
  const functions = Object.entries(exports).flatMap(([exported, value]) => {
    const object = functionObject(value);
    if (object === undefined) return [];
    const { kind, isPublic } = describeFunction(`${name}:${exported}`, object);
    if (kind === "httpAction") return [];
    return [
      {
        name: exported,
        pos: null,
        udfType: TYPES[kind],
        visibility: { kind: isPublic ? ("public" as const) : ("internal" as const) },
        args: object.exportArgs?.() ?? null,
        returns: object.exportReturns?.() ?? null,
      },
    ];
  });
  const routes = name === "http" ? (routerOf(exports)?.getRoutes() ?? null) : null;
  return {
    functions,
    httpRoutes: routes?.map(([path, method]) => ({ route: { path, method }, pos: null })) ?? null,
    cronSpecs: name === "crons" ? Object.entries(cronsOf(exports)) : null,
    sourceMapped: null,
  };
}

type Exporter = { export(): string };
const isExporter = (value: unknown): value is Exporter =>
  typeof value === "object" && value !== null && "export" in value && typeof value.export === "function";

/** The schema of the default export of `schema.ts`. Throws UserError. */
export function schemaOf(exports: Exports | undefined): { text: string; schema: SchemaJson } | null {
  if (exports === undefined) return null;
  if (!isExporter(exports.default)) {
    throw new UserError("InvalidSchema", "schema.ts must have defineSchema({...}) as its default export");
  }
  const text = exports.default.export();
  const parsed = SchemaJson.safeParse(JSON.parse(text));
  if (!parsed.success) throw new UserError("InvalidSchema", `schema.ts: ${z.prettifyError(parsed.error)}`);
  const problem = schemaProblem(parsed.data);
  if (problem !== null) throw new UserError("InvalidSchema", `schema.ts: ${problem}`);
  return { text, schema: parsed.data };
}

const CronSpecs = z.record(z.string(), CronSpec);

/** The jobs of the default export of `crons.ts`. Throws UserError. */
export function cronsOf(exports: Exports | undefined): z.infer<typeof CronSpecs> {
  if (exports === undefined) return {};
  if (!isExporter(exports.default)) {
    throw new UserError("InvalidCrons", "crons.ts must have cronJobs() as its default export");
  }
  const parsed = CronSpecs.safeParse(JSON.parse(exports.default.export()));
  if (!parsed.success) throw new UserError("InvalidCrons", `crons.ts: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

/** The providers of `auth.config.ts`. Throws UserError; an unset variable is named, if that is the cause. */
export function authOf(
  exports: Exports | undefined,
  environment: Readonly<Record<string, string>>,
  source: string | undefined,
): z.infer<typeof AuthConfig> {
  if (exports === undefined) return { providers: [] };
  const parsed = AuthConfigSchema.safeParse(exports.default);
  if (parsed.success) return parsed.data;
  const unset = [...(source ?? "").matchAll(/process\.env\.(\w+)/g)]
    .map(([, name]) => name ?? "")
    .find((name) => environment[name] === undefined);
  if (unset !== undefined) {
    throw new UserError(
      "AuthConfigMissingEnvironmentVariable",
      `Environment variable ${unset} is used in auth config file but its value was not set`,
    );
  }
  throw new UserError("InvalidAuthConfig", `auth.config.ts: ${z.prettifyError(parsed.error)}`);
}
