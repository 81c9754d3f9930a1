import { randomFillSync } from "node:crypto";
import { ReadSet } from "../live/read-set.ts";
import type { Plan } from "../query/plan.ts";
import type { Source } from "../query/stream.ts";
import {
  byIdIndexId,
  CATALOG_INDEX_ID,
  type Range,
  type Row,
  type Store,
  type Table,
  type Write,
} from "../store/store.ts";
import { decodeId, newId } from "../values/id.ts";
import { measure } from "../values/measure.ts";
import { sortKey } from "../values/sort-key.ts";
import { isObject, type Json, type JsonObject, kindOf } from "../values/wire.ts";
import { UserError } from "./errors.ts";
import { DOCUMENT_BYTES_MAX, DOCUMENT_DEPTH_MAX, Usage } from "./limits.ts";
import { checkDocument, idsOf, type SchemaJson } from "./schema.ts";

const TABLE_NAME = /^[a-zA-Z][a-zA-Z0-9_]{0,63}$/;
const SYSTEM_FIELDS = ["_id", "_creationTime"] as const;

/** A place to come back to when a nested mutation throws. */
export type Savepoint = { depth: number; writes: number; commitHooks: number };

/**
 * What one query or mutation, with all it calls, does to the store. Reads are noted for live queries, writes
 * go straight to SQLite inside one SQL transaction, which begins with the first write.
 */
export class Transaction implements Source {
  readonly reads = new ReadSet();
  readonly usage = new Usage();
  readonly writes: Write[] = [];
  writeCount = 0;
  readonly nowMs: number;
  readonly #store: Store;
  readonly #schemaOf: (component: string) => SchemaJson | null;
  readonly #onCommit: (() => void)[] = [];
  readonly #onRollback: (() => void)[] = [];
  #isOpen = false;
  #savepoints = 0;
  #hasChangedCatalog = false;

  constructor(store: Store, schemaOf: (component: string) => SchemaJson | null, nowMs: number) {
    this.#store = store;
    this.#schemaOf = schemaOf;
    this.nowMs = nowMs;
  }

  get store(): Store {
    return this.#store;
  }

  get hasWritten(): boolean {
    return this.#isOpen;
  }

  /** Opens the SQL transaction; every write calls this first. */
  open(): void {
    if (this.#isOpen) return;
    this.#store.begin();
    this.#isOpen = true;
  }

  /** Opens the transaction for a change of tables or indexes, which a rollback must undo in memory too. */
  changeCatalog(): void {
    this.open();
    this.#hasChangedCatalog = true;
  }

  /** Makes the writes durable; returns the timestamp at which they are visible. */
  commit(nowMs: number): number {
    if (!this.#isOpen) return this.#store.ts;
    const ts = this.#store.writeNextTs(nowMs);
    this.#store.commit();
    this.#isOpen = false;
    this.#store.confirmTs(ts);
    for (const hook of this.#onCommit) hook();
    return ts;
  }

  rollback(): void {
    if (this.#isOpen) {
      this.#store.rollback();
      this.#isOpen = false;
      if (this.#hasChangedCatalog) this.#store.reload();
    }
    for (const hook of this.#onRollback) hook();
  }

  /** Runs after COMMIT, for what must not happen when the transaction fails. */
  afterCommit(hook: () => void): void {
    this.#onCommit.push(hook);
  }

  afterRollback(hook: () => void): void {
    this.#onRollback.push(hook);
  }

  savepoint(): Savepoint {
    this.open();
    this.#savepoints++;
    this.#store.sql.raw.run(`SAVEPOINT nested_${this.#savepoints}`);
    return { depth: this.#savepoints, writes: this.writes.length, commitHooks: this.#onCommit.length };
  }

  release({ depth }: Savepoint): void {
    this.#store.sql.raw.run(`RELEASE nested_${depth}`);
    this.#savepoints = depth - 1;
  }

  rollbackTo(savepoint: Savepoint): void {
    this.#store.sql.raw.run(`ROLLBACK TO nested_${savepoint.depth}`);
    this.release(savepoint);
    this.writes.length = savepoint.writes;
    this.#onCommit.length = savepoint.commitHooks;
    this.writeCount++;
    if (this.#hasChangedCatalog) this.#store.reload();
  }

  /** The table of that name, or undefined; either way the answer is part of what was read. */
  table(component: string, name: string): Table | undefined {
    const table = this.#store.table(component, name);
    if (table === undefined) this.reads.addKey(CATALOG_INDEX_ID, sortKey([component, name]));
    return table;
  }

  /** The document's JSON text, or null. Throws UserError when the id is malformed or of another table. */
  get(component: string, id: string, tableName: string | undefined, isSystem: boolean): string | null {
    this.usage.add("databaseQueries", 1);
    const table = this.tableOfId(component, id, tableName, "get");
    if (table === undefined) return null;
    if (table.name.startsWith("_") !== isSystem) {
      throw new UserError(
        "InvalidTable",
        isSystem
          ? `User table ${table.name} must be read with db.get(), not db.system.get()`
          : `System table ${table.name} must be read with db.system.get(), not db.get()`,
      );
    }
    return this.#read(table, id) ?? null;
  }

  insert(component: string, tableName: string, value: JsonObject): string {
    if (!TABLE_NAME.test(tableName)) {
      throw new UserError("InvalidTableName", `Invalid table name ${JSON.stringify(tableName)}`);
    }
    return this.insertInto(this.#tableForWriting(component, tableName), component, value);
  }

  /** Inserts into any table, system tables included: for the engine's own documents. */
  insertInto(table: Table, component: string, value: JsonObject): string {
    this.open();
    const id = newId(table.number, this.nowMs, randomFillSync);
    const document = { _creationTime: this.#store.nextCreationMs(this.nowMs), _id: id, ...value };
    for (const field of SYSTEM_FIELDS) {
      if (field in value)
        throw new UserError("InvalidDocument", `System field ${field} cannot be given to insert`);
    }
    checkUserFields(value);
    this.#check(component, table, document);
    this.#store.insert(table, sortKey([id]), document, this.writes);
    this.writeCount++;
    return id;
  }

  /** Shallow merge: members of `value` replace those of the document, `{"$undefined": null}` removes them. */
  patch(component: string, id: string, value: JsonObject, tableName?: string): string {
    return this.#change(component, id, tableName, "patch", (before) => {
      const after: JsonObject = { ...before };
      for (const [name, member] of Object.entries(value)) {
        if (kindOf(member) === "undefined") delete after[name];
        else after[name] = member;
      }
      return after;
    });
  }

  replace(component: string, id: string, value: JsonObject, tableName?: string): string {
    return this.#change(component, id, tableName, "replace", ({ _id, _creationTime }) => ({
      _creationTime: _creationTime as number,
      _id: _id as string,
      ...value,
    }));
  }

  remove(component: string, id: string, tableName?: string): string {
    this.open();
    const { table, json } = this.#existing(component, id, tableName, "delete");
    this.usage.add("documentsWritten", 1);
    this.#store.remove(table, sortKey([id]), JSON.parse(json) as JsonObject, this.writes);
    this.writeCount++;
    return json;
  }

  count(component: string, tableName: string): number {
    const table = this.table(component, tableName);
    if (table === undefined) return 0;
    this.reads.addRange(byIdIndexId(table), { start: new Uint8Array(), end: undefined });
    return this.#store.count(table);
  }

  scan({ table, index, order }: Plan, range: Range, rowsMax: number): Row[] {
    this.usage.add("databaseQueries", 1);
    return this.#store.scan(table, index, range, order, rowsMax);
  }

  countRead(row: Row): void {
    this.usage.read(row.json);
  }

  recordRead({ table, index }: Plan, range: Range): void {
    this.reads.addRange(index === undefined ? byIdIndexId(table) : index.id, range);
  }

  /** The table that an id belongs to; undefined when no such table exists. */
  tableOfId(component: string, id: string, tableName: string | undefined, method: string): Table | undefined {
    const decoded = decodeId(id);
    if (decoded === null) {
      throw new UserError(
        "InvalidId",
        `Invalid argument \`id\` for \`db.${method}\`: ${JSON.stringify(id)} is not an ID`,
      );
    }
    const table = this.#store.tableByNumber(component, decoded.tableNumber);
    if (tableName !== undefined && table?.name !== tableName) {
      throw new UserError(
        "InvalidId",
        `Invalid argument \`id\` for \`db.${method}\`: expected an ID of table '${tableName}', got one of ${
          table === undefined ? "no known table" : `table '${table.name}'`
        }`,
      );
    }
    return table;
  }

  #read(table: Table, id: string): string | undefined {
    const key = sortKey([id]);
    this.reads.addKey(byIdIndexId(table), key);
    const json = this.#store.get(table, key);
    if (json !== undefined) this.usage.read(json);
    return json;
  }

  #existing(component: string, id: string, tableName: string | undefined, method: string) {
    const table = this.tableOfId(component, id, tableName, method);
    const json = table === undefined ? undefined : this.#read(table, id);
    if (table === undefined || json === undefined) {
      throw new UserError("DocumentNotFound", `${method} on nonexistent document ID ${id}`);
    }
    return { table, json };
  }

  #change(
    component: string,
    id: string,
    tableName: string | undefined,
    method: string,
    change: (before: JsonObject) => JsonObject,
  ): string {
    this.open();
    const { table, json } = this.#existing(component, id, tableName, method);
    const before = JSON.parse(json) as JsonObject;
    const after = change(before);
    for (const field of SYSTEM_FIELDS) {
      if (after[field] !== before[field]) {
        throw new UserError("InvalidDocument", `System field ${field} cannot be changed by ${method}`);
      }
    }
    const { _id, _creationTime, ...fields } = after;
    checkUserFields(fields);
    this.#check(component, table, after);
    this.#store.update(table, sortKey([id]), before, after, this.writes);
    this.writeCount++;
    return JSON.stringify(after);
  }

  #tableForWriting(component: string, name: string): Table {
    const table = this.#store.table(component, name);
    if (table !== undefined) return table;
    this.changeCatalog();
    this.writes.push({ indexId: CATALOG_INDEX_ID, key: sortKey([component, name]) });
    return this.#store.createTable(component, name);
  }

  #check(component: string, table: Table, document: JsonObject): void {
    const bytes = measure(document, DOCUMENT_DEPTH_MAX);
    if (bytes > DOCUMENT_BYTES_MAX) {
      throw new UserError(
        "DocumentTooLarge",
        `Value is too large (${bytes} bytes > ${DOCUMENT_BYTES_MAX} bytes)`,
      );
    }
    this.usage.add("documentsWritten", 1);
    this.usage.add("bytesWritten", bytes);
    if (!table.name.startsWith("_")) {
      checkDocument(this.#schemaOf(component), table, document, idsOf(this.#store, component));
    }
  }
}

function checkUserFields(value: JsonObject): void {
  for (const name in value) {
    if (name.startsWith("_") && !(SYSTEM_FIELDS as readonly string[]).includes(name)) {
      throw new UserError(
        "InvalidDocument",
        `Field '${name}' starts with an underscore, which is only allowed for system fields`,
      );
    }
  }
}

/** A document from a syscall. Throws UserError when the value is not an object. */
export function asDocument(value: Json | undefined, method: string): JsonObject {
  if (isObject(value) && kindOf(value) === "object") return value;
  throw new UserError("InvalidDocument", `The value given to \`db.${method}\` is not an object`);
}
