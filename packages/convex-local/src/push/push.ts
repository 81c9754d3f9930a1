import { createHash } from "node:crypto";
import { eq } from "drizzle-orm";
import { z } from "zod";
import { AuthConfig, type Provider } from "../auth/providers.ts";
import { type Deployment, ROOT } from "../deployment.ts";
import { UserError } from "../functions/errors.ts";
import type { Modules } from "../functions/module.ts";
import { applySchema, idsOf, SchemaJson, schemaMismatch } from "../functions/schema.ts";
import type { CronSpec } from "../schedule/crons.ts";
import { ModuleRow, modules } from "../store/tables.ts";
import { writeInt64 } from "../values/wire.ts";
import { analyzeModules, authOf, cronsOf, schemaOf } from "./analysis.ts";
import { type Bundle, loadBundle, removeBundle, removeOldBundles } from "./bundle.ts";
import { type IndexDiff, indexDiff } from "./index-diff.ts";

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
    schema: ModuleConfig.nullable(),
    changedModules: z.array(ModuleConfig),
    unchangedModuleHashes: z.array(
      z.object({ path: z.string(), environment: z.enum(["isolate", "node"]), sha256: z.string() }),
    ),
    udfServerVersion: z.string(),
  }),
  componentDefinitions: z.array(z.object({ definitionPath: z.string() })),
});
export type StartPush = z.infer<typeof StartPush>;

/** A push that has been analysed and waits for `finish_push`. */
type Pending = {
  rows: ModuleRow[];
  bundle: Bundle;
  schema: { text: string; schema: SchemaJson } | null;
  auth: Provider[];
  crons: Record<string, CronSpec>;
  serverVersion: string;
};

/** Pushes that were started and not finished, such as those of `convex codegen`. */
const PENDING_MAX = 4;
const SCHEMA_PATH = "schema.js";

export type SchemaFailure = { tableName: string; error: string };

/** Takes code: analyses it, checks it against the documents that are there, and puts it in place at one moment. */
export class Pushes {
  readonly #deployment: Deployment;
  readonly #dataDir: string | null;
  readonly #pending = new Map<string, Pending>();
  #current: { directory: string } | undefined;

  constructor(deployment: Deployment, dataDir: string | null) {
    this.#deployment = deployment;
    this.#dataDir = dataDir;
  }

  /** Loads what was pushed before this process started. */
  async restore(): Promise<void> {
    if (this.#dataDir !== null) removeOldBundles(this.#dataDir);
    const { store, tokens } = this.#deployment;
    const auth = store.meta("auth");
    if (auth !== undefined) tokens.setProviders(AuthConfig.parse({ providers: JSON.parse(auth) }).providers);
    await this.reload();
  }

  /** Imports the stored modules again: at start, and because code may read `process.env` while it loads. */
  async reload(): Promise<void> {
    const rows = this.#rows();
    if (rows.length === 0) return;
    const { store, environment } = this.#deployment;
    const bundle = await loadBundle(this.#dataDir, rows, environment.visible(ROOT));
    const schema = JSON.parse(store.meta("schema") ?? "null") as unknown;
    this.#install(bundle, SchemaJson.nullable().parse(schema));
  }

  /** Removes the files of loaded bundles. */
  stop(): void {
    for (const { bundle } of this.#pending.values()) removeBundle(bundle.directory);
    if (this.#current !== undefined) removeBundle(this.#current.directory);
  }

  /** For `get_config_hashes`: the CLI leaves out modules that have not changed. */
  hashes() {
    return this.#rows()
      .filter(({ path }) => path !== SCHEMA_PATH)
      .map(({ path, environment, sha256 }) => ({ path, environment, hash: sha256 }));
  }

  serverVersion(): string {
    return this.#deployment.store.meta("serverVersion") ?? "";
  }

  /** Analyses a push and keeps it ready. */
  async start(request: StartPush) {
    const pending = await this.#prepare(request);
    const id = crypto.randomUUID();
    this.#pending.set(id, pending);
    for (const [oldest, { bundle }] of this.#pending) {
      if (this.#pending.size <= PENDING_MAX) break;
      removeBundle(bundle.directory);
      this.#pending.delete(oldest);
    }
    const { environment } = this.#deployment;
    return {
      environmentVariables: environment.all(),
      externalDepsId: null,
      componentDefinitionPackages: {},
      appAuth: pending.auth,
      analysis: {
        "": {
          definition: {
            path: "",
            definitionType: { type: "app" },
            childComponents: [],
            httpMounts: {},
            exports: { type: "branch", branch: [] },
          },
          schema: pending.schema === null ? null : JSON.parse(pending.schema.text),
          functions: analyzeModules(pending.bundle.modules),
          udfConfig: {
            serverVersion: pending.serverVersion,
            importPhaseRngSeed: { $bytes: "" },
            importPhaseUnixTimestamp: writeInt64(0n),
          },
        },
      },
      app: {
        definitionPath: "",
        componentPath: "",
        args: {},
        childComponents: {},
        httpRoutes: { httpModuleRoutes: null, mounts: [] },
        exports: {},
      },
      schemaChange: {
        allocatedComponentIds: {},
        schemaIds: { "": id },
        indexDiffs: { "": this.#indexDiff(pending) },
      },
    };
  }

  /** The first document that the schema of a push does not allow. */
  check(id: string): SchemaFailure | null {
    return this.#firstMismatch(this.#find(id));
  }

  /** For `evaluate_schema`: what a push would do to tables and indexes. */
  async evaluate(request: StartPush) {
    const pending = await this.#prepare(request);
    removeBundle(pending.bundle.directory);
    const { store } = this.#deployment;
    const countOf = (name: string) => {
      const table = store.table(ROOT, name);
      return table === undefined ? 0 : store.count(table);
    };
    const diff = this.#indexDiff(pending);
    const indexes = [
      ...diff.added_indexes.map((index) => ({ index, change: "added", needsBackfill: true })),
      ...diff.removed_indexes.map((index) => ({ index, change: "dropped", needsBackfill: false })),
    ].map(({ index, ...rest }) => ({ ...index, ...rest, numDocs: countOf(index.name.split(".")[0] ?? "") }));
    const tables = (pending.schema?.schema.tables ?? []).map(({ tableName }) => ({
      name: tableName,
      outcome: "mustWalk",
      numDocs: countOf(tableName),
      sizeBytes: 0,
    }));
    const schemaValidation = pending.schema?.schema.schemaValidation ?? false;
    return {
      schemaChange: { allocatedComponentIds: {}, schemaIds: {}, indexDiffs: { "": diff } },
      componentSchemaEvaluations: { "": { definitionPath: "", schemaValidation, tables, indexes } },
      newComponentDefinitions: [],
    };
  }

  /** Puts a push in place, or with `isDryRun` only says what would change. */
  async finish(id: string, isDryRun: boolean) {
    const pending = this.#find(id);
    const { executor, runner, live, store, tokens, scheduler, crons } = this.#deployment;
    const before = this.#rows().map(({ path }) => path);
    const after = pending.rows.map(({ path }) => path);
    const authBefore = tokens.providers.map((provider) => JSON.stringify(provider));
    const authAfter = pending.auth.map((provider) => JSON.stringify(provider));
    const indexes = this.#indexDiff(pending);
    let cronDiff = { added: [] as string[], updated: [] as string[], deleted: [] as string[] };

    if (!isDryRun) {
      await executor.run(async () => {
        const failure = this.#firstMismatch(pending);
        if (failure !== null) throw new UserError("SchemaValidationFailed", failure.error);
        runner.transactNow((transaction) => {
          transaction.changeCatalog();
          store.sql.orm.delete(modules).where(eq(modules.component, ROOT)).run();
          for (const row of pending.rows) store.sql.orm.insert(modules).values(row).run();
          applySchema(store, ROOT, pending.schema?.schema ?? null);
          cronDiff = crons.replace(transaction, ROOT, pending.crons);
          store.setMeta("schema", pending.schema?.text ?? "null");
          store.setMeta("auth", JSON.stringify(pending.auth));
          store.setMeta("serverVersion", pending.serverVersion);
        });
        this.#pending.delete(id);
        this.#install(pending.bundle, pending.schema?.schema ?? null);
        tokens.setProviders(pending.auth);
      });
      live.invalidateAll();
      scheduler.wake();
    }
    return {
      authDiff: { added: without(authAfter, authBefore), removed: without(authBefore, authAfter) },
      definitionDiffs: {},
      componentDiffs: {
        "": {
          diffType: { type: "modify" },
          moduleDiff: { added: without(after, before), removed: without(before, after) },
          udfConfigDiff: null,
          cronDiff,
          indexDiff: indexes,
          schemaDiff: null,
        },
      },
    };
  }

  async #prepare({ appDefinition, componentDefinitions }: StartPush): Promise<Pending> {
    if (componentDefinitions.length > 0) {
      const paths = componentDefinitions.map(({ definitionPath }) => definitionPath).join(", ");
      throw new UserError("ComponentsNotSupported", `Components are not supported yet: ${paths}`);
    }
    const stored = new Map(this.#rows().map((row) => [row.path, row]));
    const rows = appDefinition.changedModules.map(rowOf);
    for (const { path, sha256 } of appDefinition.unchangedModuleHashes) {
      const row = stored.get(path);
      if (row?.sha256 !== sha256)
        throw new UserError("RaceDetected", `${path} has changed since the push began`);
      rows.push(row);
    }
    if (appDefinition.schema !== null) rows.push(rowOf({ ...appDefinition.schema, path: SCHEMA_PATH }));

    const environment = this.#deployment.environment.visible(ROOT);
    const bundle = await loadBundle(this.#dataDir, rows, environment);
    try {
      const source = rows.find(({ path }) => path === "auth.config.js")?.source;
      return {
        rows,
        bundle,
        schema: schemaOf(bundle.modules.get("schema")),
        auth: authOf(bundle.modules.get("auth.config"), environment, source).providers,
        crons: cronsOf(bundle.modules.get("crons")),
        serverVersion: appDefinition.udfServerVersion,
      };
    } catch (error) {
      removeBundle(bundle.directory);
      throw error;
    }
  }

  #find(id: string): Pending {
    const pending = this.#pending.get(id);
    if (pending === undefined)
      throw new UserError("PushExpired", "This push is not known any more, push again");
    return pending;
  }

  #rows(): ModuleRow[] {
    const { orm } = this.#deployment.store.sql;
    return orm
      .select()
      .from(modules)
      .where(eq(modules.component, ROOT))
      .all()
      .map((row) => ModuleRow.parse(row));
  }

  #install(bundle: Bundle, schema: SchemaJson | null): void {
    if (this.#current !== undefined) removeBundle(this.#current.directory);
    this.#current = bundle;
    const entryPoints: Modules = new Map([...bundle.modules].filter(([name]) => !name.startsWith("_deps/")));
    this.#deployment.components.set(ROOT, { path: ROOT, schema, modules: entryPoints });
  }

  #indexDiff({ schema }: Pending): IndexDiff {
    return indexDiff(this.#deployment.store.tables(ROOT), schema?.schema ?? null);
  }

  #firstMismatch({ schema }: Pending): SchemaFailure | null {
    if (schema === null || !schema.schema.schemaValidation) return null;
    const { store, components } = this.#deployment;
    const current = components.get(ROOT)?.schema;
    for (const { tableName, documentType } of schema.schema.tables) {
      const table = store.table(ROOT, tableName);
      const enforced = current?.tables.find((other) => other.tableName === tableName)?.documentType;
      const isEnforced = current?.schemaValidation === true && enforced !== undefined;
      if (table === undefined || (isEnforced && Bun.deepEquals(enforced, documentType))) continue;
      for (const document of store.documents(table)) {
        const found = schemaMismatch(schema.schema, tableName, document, idsOf(store, ROOT));
        if (found === null) continue;
        const error = `Document with ID "${String(document._id)}" in table "${tableName}" does not match the schema: ${found}`;
        return { tableName, error };
      }
    }
    return null;
  }
}

function rowOf({ path, source, sourceMap, environment }: ModuleConfig): ModuleRow {
  const hash = createHash("sha256")
    .update(source)
    .update(sourceMap ?? "");
  return {
    component: ROOT,
    path,
    environment,
    source,
    sourceMap: sourceMap ?? null,
    sha256: hash.digest("hex"),
  };
}

const without = (all: string[], others: string[]) => all.filter((item) => !others.includes(item));
