/**
 * Everything the store keeps, once: these tables are the SQL schema (see `database.ts`) and, through
 * drizzle-zod, the shape of the rows. Documents of every Convex table share `docs` and `index_rows`.
 */
import { blob, integer, primaryKey, real, sqliteTable, text, unique } from "drizzle-orm/sqlite-core";
import { createSelectSchema } from "drizzle-zod";
import { z } from "zod";

/** Single values: the last commit timestamp, the schema, the auth providers, the cursor key. */
export const meta = sqliteTable("meta", {
  key: text().primaryKey(),
  value: text().notNull(),
});

/** Convex tables. Numbers start at 10001 per component; smaller ones are system tables. */
export const tables = sqliteTable(
  "tables",
  {
    id: integer().primaryKey(),
    component: text().notNull(),
    name: text().notNull(),
    number: integer().notNull(),
  },
  (table) => [unique().on(table.component, table.name), unique().on(table.component, table.number)],
);

/** Indexes of Convex tables. `by_id` is `docs` itself and has no row here. */
export const indexes = sqliteTable(
  "indexes",
  {
    id: integer().primaryKey(),
    tableId: integer().notNull(),
    name: text().notNull(),
    /** JSON array of field paths, `_creationTime` and `_id` not included. */
    fields: text().notNull(),
  },
  (table) => [unique().on(table.tableId, table.name)],
);

/** Full-text and vector indexes. Each has a table of its own for what it holds. */
export const companions = sqliteTable(
  "companions",
  {
    id: integer().primaryKey(),
    tableId: integer().notNull(),
    name: text().notNull(),
    /** JSON of a CompanionConfig. */
    config: text().notNull(),
  },
  (table) => [unique().on(table.tableId, table.name)],
);

/** Documents as Convex-JSON text, system fields included. `key` is the sort key of the id. */
export const docs = sqliteTable(
  "docs",
  {
    doc: integer().primaryKey(),
    tableId: integer().notNull(),
    key: blob({ mode: "buffer" }).notNull(),
    json: text().notNull(),
  },
  (table) => [unique().on(table.tableId, table.key)],
);

/** One row per document and index, ordered by sort key; WITHOUT ROWID, so a range is one walk. */
export const indexRows = sqliteTable(
  "index_rows",
  {
    indexId: integer().notNull(),
    key: blob({ mode: "buffer" }).notNull(),
    doc: integer().notNull(),
  },
  (table) => [primaryKey({ columns: [table.indexId, table.key] })],
);

/** The pushed bundle. */
export const modules = sqliteTable(
  "modules",
  {
    /** Path of the component's definition; "" is the app. */
    component: text().notNull(),
    path: text().notNull(),
    environment: text({ enum: ["isolate", "node"] }).notNull(),
    source: text().notNull(),
    sourceMap: text(),
    /** Hex SHA-256 of source and source map, as the CLI computes it. */
    sha256: text().notNull(),
  },
  (table) => [primaryKey({ columns: [table.component, table.path] })],
);

export const environment = sqliteTable("environment", {
  name: text().primaryKey(),
  value: text().notNull(),
});

/** The queue behind `_scheduled_functions`: rows leave when the job has ended. */
export const jobs = sqliteTable("jobs", {
  id: text().primaryKey(),
  /** The component that has scheduled it, and has its document. */
  component: text().notNull(),
  /** The component whose function it runs. */
  target: text().notNull(),
  path: text().notNull(),
  args: text().notNull(),
  dueMs: real().notNull(),
  state: text({ enum: ["pending", "inProgress"] }).notNull(),
});

/** Ended jobs, so that their documents can be removed after their retention. */
export const endedJobs = sqliteTable("ended_jobs", {
  id: text().primaryKey(),
  endedMs: real().notNull(),
});

export const crons = sqliteTable(
  "crons",
  {
    component: text().notNull(),
    name: text().notNull(),
    /** JSON of the pushed spec: function, args, schedule. */
    spec: text().notNull(),
    nextMs: real().notNull(),
    /** The job of the newest run, to see whether it is still going. */
    lastJob: text(),
  },
  (table) => [primaryKey({ columns: [table.component, table.name] })],
);

/** Outcomes of mutations sent over WebSocket: a client that reconnects sends its open ones again. */
export const requests = sqliteTable(
  "requests",
  {
    sessionId: text().notNull(),
    requestId: integer().notNull(),
    /** JSON value that the mutation returned. */
    value: text().notNull(),
    ts: integer().notNull(),
    endedMs: real().notNull(),
  },
  (table) => [primaryKey({ columns: [table.sessionId, table.requestId] })],
);

/** Stored files: the bytes lie in `file_contents`, or in the data directory under `uuid`. */
export const files = sqliteTable("files", {
  storageId: text().primaryKey(),
  uuid: text().notNull().unique(),
  sha256: text().notNull(),
  bytes: integer().notNull(),
  contentType: text(),
});

/** The bytes of small files. */
export const fileContents = sqliteTable("file_contents", {
  uuid: text().primaryKey(),
  content: blob({ mode: "buffer" }).notNull(),
});

export const all = [
  meta,
  tables,
  indexes,
  companions,
  docs,
  indexRows,
  modules,
  environment,
  jobs,
  endedJobs,
  crons,
  requests,
  files,
  fileContents,
];

export const TableRow = createSelectSchema(tables);
export const IndexRow = createSelectSchema(indexes, { fields: z.string().transform(parseStrings) });
export const CompanionRow = createSelectSchema(companions);
export const ModuleRow = createSelectSchema(modules);
export const JobRow = createSelectSchema(jobs);
export const CronRow = createSelectSchema(crons);
export const FileRow = createSelectSchema(files);
export type CompanionRow = z.infer<typeof CompanionRow>;
export type JobRow = z.infer<typeof JobRow>;
export type CronRow = z.infer<typeof CronRow>;
export type FileRow = z.infer<typeof FileRow>;
export type ModuleRow = z.infer<typeof ModuleRow>;

function parseStrings(json: string): string[] {
  return z.array(z.string()).parse(JSON.parse(json));
}

const SearchConfig = z.object({
  kind: z.literal("search"),
  searchField: z.string(),
  filterFields: z.array(z.string()),
});
const VectorConfig = z.object({
  kind: z.literal("vector"),
  vectorField: z.string(),
  dimensions: z.number(),
  filterFields: z.array(z.string()),
});
export const CompanionConfig = z.discriminatedUnion("kind", [SearchConfig, VectorConfig]);
export type SearchConfig = z.infer<typeof SearchConfig>;
export type VectorConfig = z.infer<typeof VectorConfig>;
export type CompanionConfig = z.infer<typeof CompanionConfig>;
