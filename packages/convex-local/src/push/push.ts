import { eq } from "drizzle-orm";
import { z } from "zod";
import { AuthConfig, type Provider } from "../auth/providers.ts";
import { ROOT } from "../components/component.ts";
import { Definition, PLAIN_APP } from "../components/definition.ts";
import { evaluateDefinitions } from "../components/evaluation.ts";
import {
  environmentProblem,
  environmentsOf,
  type Instance,
  instancesOf,
  plantTree,
  uninstalled,
} from "../components/tree.ts";
import type { Deployment } from "../deployment.ts";
import { FILES_TABLE } from "../files/files.ts";
import { UserError } from "../functions/errors.ts";
import { applySchema, SchemaJson } from "../functions/schema.ts";
import type { Transaction } from "../functions/transaction.ts";
import type { CronDiff } from "../schedule/crons.ts";
import { JOBS_TABLE } from "../schedule/scheduler.ts";
import { ModuleRow, modules } from "../store/tables.ts";
import { analyzeModules, authOf, cronsOf, requireActions, schemaOf } from "./analysis.ts";
import { componentDiff, describeInstance, describePart, type Loaded, listDiff, type Part } from "./answer.ts";
import { loadBundle, removeBundle, removeOldBundles } from "./bundle.ts";
import { foreignGlobals } from "./globals.ts";
import { refuseNodeImports } from "./imports.ts";
import { type IndexDiff, indexDiff } from "./index-diff.ts";
import { refuseExternalPackages, SCHEMA_PATH, type StartPush, withSchema } from "./request.ts";
import { evaluateSchema, firstMismatch, type SchemaFailure } from "./schema-check.ts";

/** A push that has been analysed and waits for `finish_push`. */
type Pending = { parts: Map<string, Part>; root: Instance; loaded: Loaded[]; auth: Provider[] };

/** Pushes that were started and not finished, such as those of `convex codegen`. */
const PENDING_MAX = 4;
/** What is stored of each definition beside its modules. */
const Stored = z.record(
  z.string(),
  z.object({ definition: Definition, schema: SchemaJson.nullable(), serverVersion: z.string() }),
);

/** Takes code: analyses it, checks it against the documents that are there, and puts it in place at one moment. */
export class Pushes {
  readonly #deployment: Deployment;
  readonly #dataDir: string | null;
  readonly #pending = new Map<string, Pending>();
  #current: Loaded[] = [];

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
    const stored = this.#stored();
    const rows = new Map(Object.keys(stored).map((path) => [path, this.#rows(path)]));
    if (![...rows.values()].some((modules) => modules.length > 0)) return;
    const definitions = new Map(Object.entries(stored).map(([path, { definition }]) => [path, definition]));
    const root = plantTree(definitions);
    this.#bind(instancesOf(root));
    this.#install(await this.#load(root, rows), (path) => stored[path]?.schema ?? null);
  }

  /** Removes the files of loaded bundles. */
  stop(): void {
    for (const { loaded } of this.#pending.values()) removeBundles(loaded);
    removeBundles(this.#current);
  }

  /** For `get_config_hashes`: the CLI leaves out modules that have not changed. */
  hashes() {
    return this.#rows(ROOT)
      .filter(({ path }) => path !== SCHEMA_PATH)
      .map(({ path, environment, sha256 }) => ({ path, environment, hash: sha256 }));
  }

  serverVersion(): string {
    return this.#stored()[ROOT]?.serverVersion ?? "";
  }

  /** Analyses a push and keeps it ready. */
  async start(request: StartPush) {
    const pending = await this.#prepare(request);
    this.#warnOfForeignGlobals(request);
    const id = crypto.randomUUID();
    this.#pending.set(id, pending);
    for (const [oldest, { loaded }] of this.#pending) {
      if (this.#pending.size <= PENDING_MAX) break;
      removeBundles(loaded);
      this.#pending.delete(oldest);
    }
    return {
      environmentVariables: this.#deployment.environment.all(),
      externalDepsId: null,
      componentDefinitionPackages: {},
      appAuth: pending.auth,
      analysis: Object.fromEntries(
        [...pending.parts].map(([path, part]) => [path, describePart(path, part)]),
      ),
      app: describeInstance(pending.root, pending.loaded),
      schemaChange: {
        allocatedComponentIds: {},
        schemaIds: { [ROOT]: id },
        indexDiffs: this.#perInstance(pending, (instance) => this.#indexDiff(pending, instance)),
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
    removeBundles(pending.loaded);
    const stored = this.#stored();
    return {
      schemaChange: {
        allocatedComponentIds: {},
        schemaIds: {},
        indexDiffs: this.#perInstance(pending, (instance) => this.#indexDiff(pending, instance)),
      },
      componentSchemaEvaluations: this.#perInstance(pending, (instance) =>
        this.#evaluateSchema(pending, instance),
      ),
      newComponentDefinitions: [...pending.parts.keys()].filter((path) => path !== ROOT && !(path in stored)),
    };
  }

  /** Puts a push in place, or with `isDryRun` only says what would change. */
  async finish(id: string, isDryRun: boolean) {
    const pending = this.#find(id);
    const { executor, runner, live, tokens, scheduler, components } = this.#deployment;
    const instances = instancesOf(pending.root);
    const before = this.#installedPaths();
    const unmounted = [...components.keys()].filter(
      (path) => !instances.some((other) => other.path === path),
    );
    const authBefore = tokens.providers.map((provider) => JSON.stringify(provider));
    const authAfter = pending.auth.map((provider) => JSON.stringify(provider));
    const diffTypes = new Map(instances.map(({ path }) => [path, this.#diffType(path)]));
    const indexes = new Map(instances.map((other) => [other.path, this.#indexDiff(pending, other)]));
    let crons = new Map<string, CronDiff>();

    if (!isDryRun) {
      await executor.run(async () => {
        const failure = this.#firstMismatch(pending);
        if (failure !== null) throw new UserError("SchemaValidationFailed", failure.error);
        this.#requireEnvironment(pending.root);
        crons = runner.transactNow((transaction) => this.#store(transaction, pending, unmounted));
        this.#pending.delete(id);
        this.#bind(instances);
        this.#install(pending.loaded, (path) => pending.parts.get(path)?.schema?.schema ?? null);
        tokens.setProviders(pending.auth);
      });
      live.invalidateAll();
      scheduler.wake();
    }
    const gone = unmounted.map(
      (path) => [path, componentDiff({ type: "unmount" }, before.get(path) ?? [], [])] as const,
    );
    const kept = instances.map(({ path, definitionPath }) => {
      const after = (pending.parts.get(definitionPath)?.rows ?? []).map((row) => row.path);
      const change = {
        type: diffTypes.get(path) ?? "modify",
        crons: crons.get(path),
        indexes: indexes.get(path),
      };
      return [path, componentDiff(change, before.get(path) ?? [], after)] as const;
    });
    return {
      authDiff: listDiff(authBefore, authAfter),
      definitionDiffs: {},
      componentDiffs: Object.fromEntries([...kept, ...gone]),
    };
  }

  #warnOfForeignGlobals({ appDefinition, componentDefinitions }: StartPush): void {
    const modules = [
      ...appDefinition.changedModules,
      ...componentDefinitions.flatMap(({ functions }) => functions),
    ];
    for (const { path, source, environment } of modules) {
      const globals = environment === "isolate" ? foreignGlobals(source) : [];
      if (globals.length > 0) this.#deployment.log("push.globals-missing-in-production", { path, globals });
    }
  }

  async #prepare(request: StartPush): Promise<Pending> {
    refuseExternalPackages(request);
    const { appDefinition, componentDefinitions } = request;
    const environment = this.#deployment.environment.visible(ROOT);
    const sources = componentDefinitions.map(({ definitionPath, definition, dependencies }) => ({
      path: definitionPath,
      source: definition.source,
      dependencies,
    }));
    const { definition, dependencies } = appDefinition;
    if (definition !== null) sources.push({ path: ROOT, source: definition.source, dependencies });
    const definitions = await evaluateDefinitions(this.#dataDir, sources, environment);
    if (definition === null) definitions.set(ROOT, PLAIN_APP);

    const rows = new Map([[ROOT, this.#appRows(appDefinition)]]);
    const versions = new Map([[ROOT, appDefinition.udfServerVersion]]);
    for (const { definitionPath, functions, schema, udfServerVersion } of componentDefinitions) {
      rows.set(definitionPath, withSchema(definitionPath, functions, schema));
      versions.set(definitionPath, udfServerVersion);
    }
    for (const modules of rows.values()) refuseNodeImports(modules);
    const root = plantTree(definitions);
    const instances = instancesOf(root);
    // A definition that nothing installs is analysed too: the CLI generates its types.
    const unused = [...definitions.keys()].filter(
      (path) => !instances.some((one) => one.definitionPath === path),
    );
    const loaded = await this.#load(root, rows);
    const idle: Loaded[] = [];
    try {
      for (const path of unused) idle.push(...(await this.#load(uninstalled(path), rows)));
      const parts = new Map<string, Part>();
      for (const { instance, bundle } of [...loaded, ...idle]) {
        const path = instance.definitionPath;
        const definition = definitions.get(path);
        if (definition === undefined || parts.has(path)) continue;
        const functions = analyzeModules(bundle.modules);
        requireActions(functions, rows.get(path) ?? []);
        parts.set(path, {
          definition,
          rows: rows.get(path) ?? [],
          schema: schemaOf(bundle.modules.get("schema")),
          functions,
          crons: cronsOf(bundle.modules.get("crons")),
          serverVersion: versions.get(path) ?? "",
        });
      }
      const source = rows.get(ROOT)?.find(({ path }) => path === "auth.config.js")?.source;
      const config = loaded.find(({ instance }) => instance === root)?.bundle.modules.get("auth.config");
      return { parts, root, loaded, auth: authOf(config, environment, source).providers };
    } catch (error) {
      removeBundles(loaded);
      throw error;
    } finally {
      removeBundles(idle);
    }
  }

  #appRows({ changedModules, unchangedModuleHashes, schema }: StartPush["appDefinition"]): ModuleRow[] {
    const stored = new Map(this.#rows(ROOT).map((row) => [row.path, row]));
    const rows = withSchema(ROOT, changedModules, schema);
    for (const { path, sha256 } of unchangedModuleHashes) {
      const row = stored.get(path);
      if (row?.sha256 !== sha256)
        throw new UserError("RaceDetected", `${path} has changed since the push began`);
      rows.push(row);
    }
    return rows;
  }

  /** Loads the code of each component of a tree; of all or of none. */
  async #load(root: Instance, rows: ReadonlyMap<string, readonly ModuleRow[]>): Promise<Loaded[]> {
    const environments = environmentsOf(root, this.#deployment.environment.visible(ROOT));
    const loaded: Loaded[] = [];
    try {
      for (const instance of instancesOf(root)) {
        const environment = environments.get(instance.path) ?? {};
        const sources = rows.get(instance.definitionPath) ?? [];
        loaded.push({ instance, bundle: await loadBundle(this.#dataDir, sources, environment) });
      }
      return loaded;
    } catch (error) {
      removeBundles(loaded);
      throw error;
    }
  }

  /** Writes a push into the open transaction. The documents of components that are gone stay. */
  #store(transaction: Transaction, pending: Pending, unmounted: readonly string[]): Map<string, CronDiff> {
    const { store, crons } = this.#deployment;
    transaction.changeCatalog();
    store.sql.orm.delete(modules).run();
    for (const { rows } of pending.parts.values()) {
      for (const row of rows) store.sql.orm.insert(modules).values(row).run();
    }
    const diffs = new Map<string, CronDiff>();
    for (const { path, definitionPath } of instancesOf(pending.root)) {
      const part = pending.parts.get(definitionPath);
      for (const name of [JOBS_TABLE, FILES_TABLE]) {
        if (store.table(path, name) === undefined) store.createTable(path, name);
      }
      applySchema(store, path, part?.schema?.schema ?? null);
      diffs.set(path, crons.replace(transaction, path, part?.crons ?? {}));
    }
    for (const path of unmounted) crons.replace(transaction, path, {});
    const definitions = [...pending.parts].map(([path, { definition, schema, serverVersion }]) => [
      path,
      { definition, schema: schema?.schema ?? null, serverVersion },
    ]);
    store.setMeta("definitions", JSON.stringify(Object.fromEntries(definitions)));
    store.setMeta("auth", JSON.stringify(pending.auth));
    return diffs;
  }

  #requireEnvironment(root: Instance): void {
    const environments = environmentsOf(root, this.#deployment.environment.visible(ROOT));
    for (const instance of instancesOf(root)) {
      const problem = environmentProblem(instance, environments.get(instance.path) ?? {});
      if (problem !== null) throw new UserError("MissingEnvironmentVariable", problem);
    }
  }

  #find(id: string): Pending {
    const pending = this.#pending.get(id);
    if (pending === undefined)
      throw new UserError("PushExpired", "This push is not known any more, push again");
    return pending;
  }

  #rows(definitionPath: string): ModuleRow[] {
    const { orm } = this.#deployment.store.sql;
    return orm
      .select()
      .from(modules)
      .where(eq(modules.component, definitionPath))
      .all()
      .map((row) => ModuleRow.parse(row));
  }

  #stored(): z.infer<typeof Stored> {
    return Stored.parse(JSON.parse(this.#deployment.store.meta("definitions") ?? "{}"));
  }

  /** The modules of each installed component, before a push. */
  #installedPaths(): Map<string, string[]> {
    return new Map(
      this.#current.map(({ instance }) => [
        instance.path,
        this.#rows(instance.definitionPath).map(({ path }) => path),
      ]),
    );
  }

  #bind(instances: readonly Instance[]): void {
    this.#deployment.environment.bind(new Map(instances.map(({ path, environment }) => [path, environment])));
  }

  #install(loaded: Loaded[], schemaOfDefinition: (path: string) => SchemaJson | null): void {
    removeBundles(this.#current);
    this.#current = loaded;
    const { components } = this.#deployment;
    components.clear();
    for (const { instance, bundle } of loaded) {
      const { path, definitionPath, mounts, httpPrefix, args } = instance;
      const schema = schemaOfDefinition(definitionPath);
      const { modules, nodeModules } = bundle;
      components.set(path, { path, schema, modules, nodeModules, mounts, httpPrefix, args });
    }
  }

  #diffType(path: string): "create" | "modify" | "remount" {
    const { components, store } = this.#deployment;
    if (components.has(path)) return "modify";
    return store.tables(path).length > 0 ? "remount" : "create";
  }

  #perInstance<T>(pending: Pending, describe: (instance: Instance) => T): Record<string, T> {
    return Object.fromEntries(
      instancesOf(pending.root).map((instance) => [instance.path, describe(instance)]),
    );
  }

  #indexDiff(pending: Pending, { path, definitionPath }: Instance): IndexDiff {
    const schema = pending.parts.get(definitionPath)?.schema?.schema ?? null;
    return indexDiff(this.#deployment.store.tables(path), schema);
  }

  #evaluateSchema(pending: Pending, { path, definitionPath }: Instance) {
    const schema = pending.parts.get(definitionPath)?.schema?.schema ?? null;
    return { definitionPath, ...evaluateSchema(this.#deployment.store, path, schema) };
  }

  #firstMismatch(pending: Pending): SchemaFailure | null {
    for (const { path, definitionPath } of instancesOf(pending.root)) {
      const schema = pending.parts.get(definitionPath)?.schema?.schema;
      const failure =
        schema?.schemaValidation === true ? firstMismatch(this.#deployment, path, schema) : null;
      if (failure !== null) return failure;
    }
    return null;
  }
}

function removeBundles(loaded: readonly Loaded[]): void {
  for (const { bundle } of loaded) removeBundle(bundle.directory);
}
