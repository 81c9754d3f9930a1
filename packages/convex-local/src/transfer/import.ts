import { randomFillSync } from "node:crypto";
import { appendFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { z } from "zod";
import { type Deployment, ROOT } from "../deployment.ts";
import { FILES_TABLE, type PreparedFile } from "../files/files.ts";
import { UserError } from "../functions/errors.ts";
import { Transaction } from "../functions/transaction.ts";
import type { Table } from "../store/store.ts";
import { decodeId, newId } from "../values/id.ts";
import { IDENTIFIER } from "../values/identifier.ts";
import { type Json, type JsonObject, writeInt64 } from "../values/wire.ts";
import { Formats, type ImportContent, type ImportRow, openImport, type Source } from "./formats.ts";
import { TRANSFERS, touchTransfers } from "./watch.ts";

const Modes = ["requireEmpty", "append", "replace", "replaceAll"] as const;

export const FinishUpload = z.object({
  import: z.object({
    tableName: z.string().nullish(),
    componentPath: z.string().nullish(),
    mode: z.enum(Modes),
    format: z.enum(Formats),
  }),
  uploadToken: z.string(),
  partTokens: z.array(z.string()).max(10_000),
});
type Request = z.infer<typeof FinishUpload>["import"];

type State =
  | { state: "uploaded" }
  | { state: "waiting_for_confirmation"; message_to_confirm: string; require_manual_confirmation: boolean }
  | { state: "in_progress"; progress_message: string; checkpoint_messages: string[] }
  | { state: "completed"; num_rows_written: Json }
  | { state: "failed"; error_message: string };

type Import = { id: string; createdMs: number; path: string; request: Request; state: State };

const UPLOADS_MAX = 8;
const IMPORTS_MAX = 32;
const ROWS_PER_TURN = 500;
const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/;

/** What a table gets: how many rows, and the number that their ids have, if they have ids. */
type Arrival = { component: string; table: string; rows: number; number: number | null };

/**
 * Snapshot imports. A file is uploaded in parts, looked through, and written after a confirmation: all of it in one
 * transaction, during which other functions wait, or nothing.
 */
export class Imports {
  readonly #deployment: Deployment;
  readonly #uploads = new Map<string, string[]>();
  readonly #imports = new Map<string, Import>();

  constructor(deployment: Deployment) {
    this.#deployment = deployment;
  }

  startUpload(): { uploadToken: string } {
    const uploadToken = crypto.randomUUID();
    this.#uploads.set(uploadToken, []);
    for (const [oldest, parts] of this.#uploads) {
      if (this.#uploads.size <= UPLOADS_MAX) break;
      for (const part of parts) rmSync(part, { force: true });
      this.#uploads.delete(oldest);
    }
    return { uploadToken };
  }

  /** Stores one part; its token goes into `finishUpload`. */
  async uploadPart(uploadToken: string, chunks: AsyncIterable<Uint8Array>): Promise<string> {
    const parts = this.#parts(uploadToken);
    const name = `part-${crypto.randomUUID()}`;
    const path = this.#deployment.snapshots.place(name);
    const writer = Bun.file(path).writer();
    try {
      for await (const chunk of chunks) {
        writer.write(chunk);
        await writer.flush();
      }
    } finally {
      await writer.end();
    }
    parts.push(path);
    return name;
  }

  /** Puts the parts together and begins to look through them. */
  finishUpload({ import: request, uploadToken, partTokens }: z.infer<typeof FinishUpload>): {
    importId: string;
  } {
    const parts = this.#parts(uploadToken);
    const { snapshots, now } = this.#deployment;
    const paths = partTokens.map((token) => {
      const path = snapshots.place(token);
      if (!parts.includes(path)) throw new UserError("PartNotFound", `There is no part ${token}`);
      return path;
    });
    const { tableName } = request;
    if (tableName !== null && tableName !== undefined && !IDENTIFIER.test(tableName)) {
      throw new UserError("InvalidTableName", `${JSON.stringify(tableName)} isn't a valid table name`);
    }
    const id = crypto.randomUUID();
    const path = snapshots.place(`import-${id}`);
    joinFiles(paths, path);
    for (const part of parts) rmSync(part, { force: true });
    this.#uploads.delete(uploadToken);
    const made: Import = { id, createdMs: now(), path, request, state: { state: "uploaded" } };
    this.#imports.set(id, made);
    for (const [oldest, { path: old, state }] of this.#imports) {
      if (this.#imports.size <= IMPORTS_MAX) break;
      if (state.state === "in_progress") continue;
      rmSync(old, { force: true });
      this.#imports.delete(oldest);
    }
    this.#follow(made, this.#lookThrough(made));
    return { importId: id };
  }

  /** Writes an import that waits for confirmation. Its progress is told by `state`. */
  perform(importId: string): void {
    const found = this.#imports.get(importId);
    if (found?.state.state !== "waiting_for_confirmation") {
      throw new UserError("ImportNotWaiting", "This import is not waiting for confirmation");
    }
    this.#become(found, { state: "in_progress", progress_message: "Importing", checkpoint_messages: [] });
    this.#follow(found, this.#write(found));
  }

  /** As `_system/cli/queryImport` tells it; null for an import that is not known. */
  describe(importId: string): Json {
    const found = this.#imports.get(importId);
    return found === undefined ? null : documentOf(found);
  }

  list(): Json {
    return [...this.#imports.values()].map(documentOf);
  }

  #parts(uploadToken: string): string[] {
    const parts = this.#uploads.get(uploadToken);
    if (parts === undefined) throw new UserError("UploadNotFound", "This upload is not known, start again");
    return parts;
  }

  #follow(found: Import, work: Promise<State>): void {
    work
      .catch((error: unknown): State => {
        if (!(error instanceof UserError)) this.#deployment.log("import.failed", { error });
        const reason = error instanceof Error ? error.message : String(error);
        return { state: "failed", error_message: `Hit an error while importing:\n${reason}` };
      })
      .then((state) => {
        if (state.state === "completed" || state.state === "failed") rmSync(found.path, { force: true });
        this.#become(found, state);
      });
  }

  #become(found: Import, state: State): void {
    found.state = state;
    touchTransfers(this.#deployment.live, TRANSFERS.imports);
  }

  async #open({ path, request }: Import): Promise<ImportContent> {
    const component = request.componentPath ?? ROOT;
    const content = await openImport(path, request.format, { component, table: request.tableName ?? null });
    const unknown = content.sources.find((source) => !this.#deployment.components.has(source.component));
    if (unknown === undefined) return content;
    content.close();
    throw new UserError("ComponentNotFound", `There is no component ${unknown.component} in this deployment`);
  }

  async #lookThrough(found: Import): Promise<State> {
    const content = await this.#open(found);
    try {
      const { store } = this.#deployment;
      const { mode } = found.request;
      const lines: string[] = [];
      let deletes = 0;
      for (const { component, table: name, rows } of await arrivalsOf(content.sources)) {
        const table = store.table(component, name);
        const existing = table === undefined ? 0 : store.count(table);
        if (mode === "requireEmpty" && existing > 0) throw tableExists(name);
        const deleted = mode === "append" ? 0 : existing;
        deletes += deleted;
        const where = component === ROOT ? name : `${component}: ${name}`;
        lines.push(`${where}: ${rows} to add${deleted > 0 ? `, ${deleted} to delete` : ""}`);
      }
      if (mode === "replaceAll") {
        for (const table of this.#others(content.sources)) {
          const existing = store.count(table);
          deletes += existing;
          if (existing > 0) lines.push(`${table.name}: ${existing} to delete, not in the import`);
        }
      }
      return {
        state: "waiting_for_confirmation",
        message_to_confirm: ["Changes of this import:", ...lines].join("\n"),
        require_manual_confirmation: deletes > 0,
      };
    } finally {
      content.close();
    }
  }

  async #write(found: Import): Promise<State> {
    const content = await this.#open(found);
    const prepared = new Map<string, PreparedFile>();
    try {
      const arrivals = await arrivalsOf(content.sources);
      await this.#prepareFiles(content, prepared);
      const written = await this.#deployment.executor.run(() =>
        this.#transact(found.request.mode, content.sources, arrivals, prepared),
      );
      prepared.clear();
      this.#deployment.history.forget();
      this.#deployment.live.invalidateAll();
      return { state: "completed", num_rows_written: writeInt64(BigInt(written)) };
    } finally {
      for (const file of prepared.values()) this.#deployment.files.abandon(file);
      content.close();
    }
  }

  /** Writes the bytes of all files; documents that know them come with the transaction. */
  async #prepareFiles({ sources, files }: ImportContent, prepared: Map<string, PreparedFile>): Promise<void> {
    const stated = new Map<string, JsonObject>();
    for (const source of sources) {
      if (source.table !== FILES_TABLE) continue;
      for await (const { value } of source.rows())
        stated.set(`${source.component}\0${String(value._id)}`, value);
    }
    for (const { component, id, bytes } of files) {
      const key = `${component}\0${id}`;
      const document = stated.get(key);
      if (document === undefined || prepared.has(key)) continue;
      const { contentType, sha256, internalId } = document;
      const writer = this.#deployment.files.beginOnDisk(
        typeof contentType === "string" ? contentType : null,
        this.#freeUuid(internalId),
      );
      try {
        for await (const chunk of bytes()) writer.write(chunk);
        prepared.set(key, writer.finish(typeof sha256 === "string" ? sha256 : null));
      } catch (error) {
        writer.abort();
        throw error;
      }
    }
  }

  /** The name that the file had where it comes from, so that its URL goes on, unless a file here has it. */
  #freeUuid(internalId: Json | undefined): string {
    const isFree =
      typeof internalId === "string" &&
      UUID.test(internalId) &&
      this.#deployment.files.byUuid(internalId) === null;
    return isFree ? internalId : crypto.randomUUID();
  }

  async #transact(
    mode: Request["mode"],
    sources: readonly Source[],
    arrivals: readonly Arrival[],
    prepared: ReadonlyMap<string, PreparedFile>,
  ): Promise<number> {
    const { store, components, now } = this.#deployment;
    const transaction = new Transaction(store, (path) => components.get(path)?.schema ?? null, now(), {
      documentsWritten: Number.POSITIVE_INFINITY,
      bytesWritten: Number.POSITIVE_INFINITY,
    });
    try {
      transaction.changeCatalog();
      this.#makeRoom(transaction, mode, sources, arrivals);
      let written = 0;
      for (const source of sources) {
        if (source.table === "_tables") continue;
        for await (const row of source.rows()) {
          const table = store.table(source.component, source.table);
          if (table === undefined) throw new Error(`Table ${source.table} is gone`);
          const document = documentFrom(row, table, now(), () => store.nextCreationMs(now()));
          const insert =
            source.table === FILES_TABLE
              ? () => this.#addFile(transaction, source.component, document, prepared)
              : () => transaction.restore(table, source.component, this.#withoutEmpty(document, source));
          insertRow(row, table, insert);
          if (++written % ROWS_PER_TURN > 0) continue;
          // Everything runs again afterwards, so nobody need know which keys were written.
          transaction.writes.length = 0;
          await turn();
        }
      }
      transaction.writes.length = 0;
      transaction.commit(now());
      return written;
    } catch (error) {
      transaction.rollback();
      throw error;
    }
  }

  /** CSV cannot tell an empty text from no text: where the schema allows none, there is none. */
  #withoutEmpty(document: JsonObject, { component, table, format }: Source): JsonObject {
    if (format !== "csv") return document;
    const schema = this.#deployment.components.get(component)?.schema;
    const type = schema?.tables.find(({ tableName }) => tableName === table)?.documentType;
    if (type?.type !== "object") return document;
    return Object.fromEntries(
      Object.entries(document).filter(([name, value]) => value !== "" || type.value[name]?.optional !== true),
    );
  }

  #addFile(
    transaction: Transaction,
    component: string,
    document: JsonObject,
    prepared: ReadonlyMap<string, PreparedFile>,
  ): void {
    const { _id, _creationTime } = document;
    const file = prepared.get(`${component}\0${String(_id)}`);
    if (file === undefined) throw new Error(`The import has no bytes for the file ${String(_id)}`);
    this.#deployment.files.restore(transaction, component, file, {
      _creationTime: _creationTime as number,
      _id: _id as string,
      ...(file.contentType === null ? {} : { contentType: file.contentType }),
      sha256: Buffer.from(file.sha256, "hex").toString("base64"),
      size: file.bytes,
    });
  }

  /** Empties and creates tables as the mode wants, and gives them the numbers that the imported ids have. */
  #makeRoom(
    transaction: Transaction,
    mode: Request["mode"],
    sources: readonly Source[],
    arrivals: readonly Arrival[],
  ): void {
    const { store, files, components } = this.#deployment;
    const clear = (table: Table) =>
      table.name === FILES_TABLE ? files.clear(transaction, table.component) : store.clearTable(table);
    if (mode === "replaceAll") {
      for (const table of this.#others(sources)) {
        const declared = components.get(table.component)?.schema?.tables ?? [];
        const isDeclared = declared.some(({ tableName }) => tableName === table.name);
        if (isDeclared || table.name.startsWith("_")) clear(table);
        else store.dropTable(table);
      }
    }
    for (const { component, table: name } of arrivals) {
      const table = store.table(component, name) ?? store.createTable(component, name);
      const existing = store.count(table);
      if (existing === 0 || mode === "append") continue;
      if (mode === "requireEmpty") throw tableExists(name);
      clear(table);
    }
    for (const component of new Set(arrivals.map((arrival) => arrival.component))) {
      store.renumber(this.#numbers(component, arrivals));
    }
  }

  #numbers(component: string, arrivals: readonly Arrival[]): Map<Table, number> {
    const { store } = this.#deployment;
    const wanted = new Map<Table, number>();
    for (const arrival of arrivals) {
      const table = store.table(component, arrival.table);
      if (arrival.component !== component || table === undefined || arrival.number === null) continue;
      // What is there keeps its ids; rows with other ids are refused one by one.
      if (store.count(table) === 0 && table.number !== arrival.number) wanted.set(table, arrival.number);
    }
    const taken = new Set([...wanted.values()]);
    const all = store.tables(component);
    let free = Math.max(10_000, ...all.map(({ number }) => number), ...taken);
    for (const table of all) {
      if (wanted.has(table) || !taken.has(table.number)) continue;
      if (store.count(table) > 0) {
        throw new UserError(
          "TableConflict",
          `Table ${table.name} has documents and the number ${table.number}, which the import needs for another table`,
        );
      }
      wanted.set(table, ++free);
    }
    return wanted;
  }

  /** User tables, and files, that the import does not mention. */
  #others(sources: readonly Source[]): Table[] {
    const { store, components } = this.#deployment;
    const mentioned = new Set(sources.map(({ component, table }) => `${component}\0${table}`));
    return [...components.keys()]
      .flatMap((component) => store.tables(component))
      .filter(({ name }) => name === FILES_TABLE || !name.startsWith("_"))
      .filter(({ component, name }) => !mentioned.has(`${component}\0${name}`));
  }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

function joinFiles(parts: readonly string[], path: string): void {
  writeFileSync(path, "", { mode: 0o600 });
  // Parts have some 5 MiB each, so one at a time may be in memory.
  for (const part of parts) appendFileSync(path, readFileSync(part));
}

const documentOf = ({ id, createdMs, state, request }: Import): Json => ({
  _id: id,
  _creationTime: createdMs,
  state: state as unknown as Json,
  mode: request.mode,
  format: request.format,
});

const tableExists = (name: string) =>
  new UserError(
    "TableExists",
    `Table ${name} already exists and has documents. Choose another table, or use --replace or --append.`,
  );

/** Reads everything once: what there is, and whether it can be read at all. */
async function arrivalsOf(sources: readonly Source[]): Promise<Arrival[]> {
  const found = new Map<string, Arrival>();
  const arrival = (component: string, table: string): Arrival => {
    const key = `${component}\0${table}`;
    const known = found.get(key) ?? { component, table, rows: 0, number: null };
    found.set(key, known);
    return known;
  };
  for (const { component, table, rows } of sources) {
    if (table !== "_tables" && table !== FILES_TABLE && !IDENTIFIER.test(table)) {
      throw new UserError("InvalidTableName", `${JSON.stringify(table)} isn't a valid table name`);
    }
    let count = 0;
    for await (const row of rows()) {
      if (table === "_tables") {
        const { name, id } = TableLine.parse(row.value);
        arrival(component, name).number = id;
        continue;
      }
      const into = arrival(component, table);
      into.rows++;
      if (into.number === null && typeof row.value._id === "string") {
        into.number = decodeId(row.value._id)?.tableNumber ?? null;
      }
      if (++count % ROWS_PER_TURN === 0) await turn();
    }
    if (table !== "_tables") arrival(component, table);
  }
  return [...found.values()];
}

const TableLine = z.object({
  name: z.string().regex(IDENTIFIER),
  id: z.number().int().min(1).max(0xffffffff),
});

/** The document of a row, with an id of its table and a creation time. Throws UserError. */
function documentFrom(
  { line, value }: ImportRow,
  table: Table,
  nowMs: number,
  nextCreationMs: () => number,
): JsonObject {
  const {
    _id = newId(table.number, nowMs, randomFillSync),
    _creationTime = nextCreationMs(),
    ...fields
  } = value;
  if (typeof _creationTime !== "number") {
    throw new UserError("InvalidConvexValue", `Row ${line}: _creationTime must be a number`);
  }
  if (typeof _id !== "string" || decodeId(_id)?.tableNumber !== table.number) {
    throw new UserError(
      "InvalidConvexValue",
      `Row ${line}: ${JSON.stringify(_id)} is not an ID of table ${table.name}`,
    );
  }
  return { _creationTime, _id, ...fields };
}

function insertRow({ line }: ImportRow, table: Table, insert: () => void): void {
  try {
    insert();
  } catch (error) {
    const isDuplicate = error instanceof Error && error.message.includes("UNIQUE constraint failed");
    const reason = isDuplicate ? `table "${table.name}" has its _id already` : (error as Error).message;
    throw new UserError("ImportRowRefused", `Row ${line}: ${reason}`);
  }
}
