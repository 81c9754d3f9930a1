import { z } from "zod";
import { type Deployment, ROOT } from "../deployment.ts";
import { UserError } from "../functions/errors.ts";
import type { Transaction } from "../functions/transaction.ts";
import { analyzeModules } from "../push/analysis.ts";
import { fingerprintOf } from "../query/cursor.ts";
import { readPage } from "../query/page.ts";
import { plan } from "../query/plan.ts";
import { readTransfers, TRANSFERS } from "../transfer/watch.ts";
import type { Json } from "../values/wire.ts";

type SystemQuery = (
  deployment: Deployment,
  transaction: Transaction,
  component: string,
  args: unknown,
) => Json;

const TableData = z.object({
  table: z.string(),
  order: z.enum(["asc", "desc"]),
  paginationOpts: z.object({ cursor: z.string().nullable(), numItems: z.number().int().positive() }),
});

/** Queries that the official CLI asks for under `_system/`; only admins reach them. */
const QUERIES: Record<string, SystemQuery> = {
  "_system/cli/queryEnvironmentVariables:default": ({ environment }) =>
    Object.entries(environment.all()).map(([name, value]) => ({ name, value })),

  "_system/cli/queryEnvironmentVariables:get": ({ environment }, _transaction, _component, args) => {
    const { name } = z.object({ name: z.string() }).parse(args);
    const value = environment.all()[name];
    return value === undefined ? null : { name, value };
  },

  "_system/cli/exports:getLatest": ({ exports }, { reads }) => {
    readTransfers(reads, TRANSFERS.exports);
    return exports.latest();
  },

  "_system/cli/queryImport:default": ({ imports }, { reads }, _component, args) => {
    readTransfers(reads, TRANSFERS.imports);
    return imports.describe(z.object({ importId: z.string() }).parse(args).importId);
  },

  "_system/cli/queryImport:list": ({ imports }, { reads }) => {
    readTransfers(reads, TRANSFERS.imports);
    return imports.list();
  },

  "_system/frontend/components:list": ({ components }) =>
    [...components.keys()].map((path) => ({
      id: path,
      path,
      name: path.split("/").at(-1) ?? "",
      args: {},
      state: "active",
    })),

  "_system/cli/convexUrl:cloudUrl": (deployment) => deployment.cloudOrigin(),

  // Asked for in pages; a deployment has few enough tables for one.
  "_system/cli/tables:default": ({ store }, _transaction, component) => ({
    page: store
      .tables(component)
      .filter(({ name }) => !name.startsWith("_"))
      .map(({ name }) => ({ name })),
    isDone: true,
    continueCursor: "",
  }),

  "_system/cli/tableSize:default": (_deployment, transaction, component, args) =>
    transaction.count(component, z.object({ tableName: z.string() }).parse(args).tableName),

  "_system/cli/tableData:default": ({ cursors }, transaction, component, args) => {
    const { table: name, order, paginationOpts } = TableData.parse(args);
    const table = transaction.table(component, name);
    if (table === undefined) throw new UserError("TableNotFound", `There is no table ${name}`);
    const fingerprint = fingerprintOf(`tableData ${component} ${name} ${order}`);
    const scan = plan({ source: { type: "FullTableScan", tableName: name, order }, operators: [] }, table);
    const { cursor, numItems } = paginationOpts;
    const page = readPage(
      scan,
      {
        start: cursor === null ? null : cursors.open(cursor, fingerprint),
        end: null,
        pageRows: numItems,
        rowsReadMax: null,
        bytesReadMax: null,
      },
      transaction,
    );
    return {
      page: page.documents.map((text) => JSON.parse(text) as Json),
      isDone: page.isDone,
      continueCursor: cursors.seal(page.end, fingerprint),
    };
  },

  "_system/cli/modules:apiSpec": ({ components }, _transaction, component) =>
    Object.entries(analyzeModules(components.get(component)?.modules ?? new Map())).flatMap(
      ([path, module]): Json[] => [
        ...module.functions.map(({ name, udfType, visibility, args, returns }) => ({
          identifier: `${path}:${name}`,
          functionType: udfType,
          visibility,
          args: JSON.parse(args ?? '{"type":"any"}') as Json,
          returns: JSON.parse(returns ?? "null") as Json,
        })),
        ...(module.httpRoutes ?? []).map(({ route }) => ({ functionType: "HttpAction", ...route })),
      ],
    ),
};

export const isSystemQuery = (path: string): boolean => path.startsWith("_system/");

/** Throws UserError for a query that is not there. */
export function runSystemQuery(
  deployment: Deployment,
  transaction: Transaction,
  path: string,
  component: string,
  args: unknown,
): string {
  const query = QUERIES[path];
  if (query === undefined) throw new UserError("FunctionNotFound", `Could not find system function ${path}`);
  return JSON.stringify(query(deployment, transaction, component === "" ? ROOT : component, args));
}
