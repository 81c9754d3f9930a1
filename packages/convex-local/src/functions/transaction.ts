import { ReadSet } from "../live/read-set.ts";
import type { Plan } from "../query/plan.ts";
import type { Source } from "../query/stream.ts";
import type { Entry } from "../store/batch.ts";
import {
  byIdIndexId,
  CATALOG_INDEX_ID,
  type Range,
  type Row,
  type Store,
  type Stored,
  type Table,
  type Write,
} from "../store/store.ts";
import { holdsCommitTs, withCommitTs } from "../values/commit-ts.ts";
import { withSortedFields } from "../values/field-order.ts";
import { decodeId, newId } from "../values/id.ts";
import { IDENTIFIER } from "../values/identifier.ts";
import { InvalidValue, measure } from "../values/measure.ts";
import { sortKey } from "../values/sort-key.ts";
import { isObject, type Json, type JsonObject, kindOf } from "../values/wire.ts";
import { UserError } from "./errors.ts";
import {
  DOCUMENT_BYTES_MAX,
  DOCUMENT_DEPTH_MAX,
  NO_LIMITS,
  nearLimit,
  type TransactionLimits,
  Usage,
  type UsageMark,
} from "./limits.ts";
import { fillRandom } from "./random.ts";
import { checkDocument, idsOf, type SchemaJson } from "./schema.ts";

const SYSTEM_FIELDS = ["_id", "_creationTime"] as const;

/** A place to come back to when a nested mutation throws. */
export type Savepoint = { depth: number; writes: number; commitHooks: number; usage: UsageMark };

/**
 * What one query or mutation, with all it calls, does to the store. Reads are noted for live queries, writes
 * go straight to SQLite inside one SQL transaction, which begins with the first write.
 */
export class Transaction implements Source {
  readonly reads = new ReadSet();
  readonly usage: Usage;
  readonly writes: Write[] = [];
  writeCount = 0;
  readonly nowMs: number;
  /** Set when a function has used `db.vars.commitTs`: written documents are then looked at for it. */
  hasUsedCommitTs = false;
  #largest = { id: "", bytes: 0 };
  /** Documents that wait for the commit timestamp, by id. */
  readonly #awaitingTs = new Map<string, Table>();
  readonly #store: Store;
  readonly #schemaOf: (component: string) => SchemaJson | null;
  #onCommit: (() => void)[] = [];
  #onRollback: (() => void)[] = [];
  #entry: Entry | null = null;
  #savepoints = 0;
  #hasChangedCatalog = false;

  constructor(
    store: Store,
    schemaOf: (component: string) => SchemaJson | null,
    nowMs: number,
    limits: Partial<TransactionLimits> = NO_LIMITS,
  ) {
    this.#store = store;
    this.#schemaOf = schemaOf;
    this.nowMs = nowMs;
    this.usage = new Usage(limits);
  }

  get store(): Store {
    return this.#store;
  }

  get hasWritten(): boolean {
    return this.#entry !== null;
  }

  /** Enters the SQL transaction; every write calls this first. */
  open(): void {
    this.#entry ??= this.#store.batch.enter();
  }

  /** Opens the transaction for a change of tables or indexes, which a rollback must undo in memory too. */
  changeCatalog(): void {
    this.open();
    this.#hasChangedCatalog = true;
  }

  /**
   * Leaves the writes to the batch, which makes them durable, at once or with others; `committed` and the hooks run
   * when it has. Returns the timestamp at which they are visible.
   */
  commit(nowMs: number, committed: (writes: readonly Write[]) => void = () => {}): number {
    if (this.#entry === null) return this.#store.newestTs;
    const ts = this.#store.takeTs(nowMs);
    if (this.#awaitingTs.size > 0) this.#fillCommitTs(ts);
    this.#store.batch.leave(this.#entry, {
      bytesWritten: this.usage.used.bytesWritten,
      committed: () => {
        committed(this.writes);
        for (const hook of this.#onCommit) hook();
      },
      lost: () => this.#runRollbackHooks(),
    });
    this.#entry = null;
    return ts;
  }

  rollback(): void {
    if (this.#entry !== null) {
      this.#store.batch.undo(this.#entry);
      this.#entry = null;
      if (this.#hasChangedCatalog) this.#store.reload();
    }
    this.#runRollbackHooks();
  }

  #runRollbackHooks(): void {
    const hooks = this.#onRollback;
    this.#onRollback = [];
    for (const hook of hooks) hook();
  }

  /** Runs when the writes are durable, for what must not happen when the transaction fails. */
  afterCommit(hook: () => void): void {
    this.#onCommit.push(hook);
  }

  afterRollback(hook: () => void): void {
    this.#onRollback.push(hook);
  }

  /** Begins a nested mutation, with limits of its own if it has any. */
  savepoint(limits: Partial<TransactionLimits> = {}): Savepoint {
    this.open();
    this.#savepoints++;
    this.#store.sql.raw.query(`SAVEPOINT nested_${this.#savepoints}`).run();
    return {
      depth: this.#savepoints,
      writes: this.writes.length,
      commitHooks: this.#onCommit.length,
      usage: this.usage.enter(limits),
    };
  }

  release({ depth, usage }: Savepoint): void {
    this.#store.sql.raw.query(`RELEASE nested_${depth}`).run();
    this.#savepoints = depth - 1;
    this.usage.leave(usage, false);
  }

  /** Takes back, for as long as the caller does not roll back to the savepoint, what has been written so far. */
  hideWrites(): Savepoint {
    const savepoint = this.savepoint();
    const tables = new Map(this.#store.allTables().map((table) => [byIdIndexId(table), table]));
    const writes: Write[] = [];
    for (const { indexId, key, before } of this.writes.toReversed()) {
      const table = before === undefined ? undefined : tables.get(indexId);
      if (table === undefined || before === undefined) continue;
      const stored = this.#store.get(table, key);
      const current = stored === undefined ? null : (JSON.parse(stored.json) as JsonObject);
      if (stored === undefined || current === null) {
        if (before !== null) this.#store.insert(table, key, before, writes);
      } else if (before === null) this.#store.remove(table, stored, key, current, writes);
      else this.#store.update(table, stored, key, current, before, writes);
    }
    this.writeCount++;
    return savepoint;
  }

  rollbackTo(savepoint: Savepoint): void {
    this.#store.sql.raw.query(`ROLLBACK TO nested_${savepoint.depth}`).run();
    this.release(savepoint);
    this.usage.leave(savepoint.usage, true);
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
          ? "User tables cannot be accessed with db.system."
          : "System tables can only be accessed with db.system.",
      );
    }
    return this.#read(table, id)?.json ?? null;
  }

  insert(component: string, tableName: string, value: JsonObject): string {
    if (!IDENTIFIER.test(tableName)) {
      throw new UserError("InvalidTableName", `Invalid table name ${JSON.stringify(tableName)}`);
    }
    return this.insertInto(this.#tableForWriting(component, tableName), component, value);
  }

  /** Inserts into any table, system tables included: for the engine's own documents. */
  insertInto(table: Table, component: string, value: JsonObject): string {
    this.open();
    const id = newId(table.number, this.nowMs, fillRandom);
    const document = { _creationTime: this.#store.nextCreationMs(this.nowMs), _id: id, ...value };
    if ("_id" in value) {
      throw new UserError(
        "InvalidDocument",
        `Provided document ID ${String(value._id)} in insert: IDs are made here`,
      );
    }
    if ("_creationTime" in value) {
      throw new UserError(
        "InvalidDocument",
        "Provided creation time in insert: creation times are made here",
      );
    }
    checkUserFields(value);
    this.#check(component, table, document, "insert");
    this.#store.insert(table, sortKey([id]), withSortedFields(document), this.writes);
    this.writeCount++;
    return id;
  }

  /** Inserts a document that brings its `_id` and `_creationTime` along: for imports. */
  restore(table: Table, component: string, document: JsonObject): void {
    this.open();
    const { _id, _creationTime, ...fields } = document;
    checkUserFields(fields);
    this.#check(component, table, document, "insert");
    this.#store.insert(table, sortKey([_id]), withSortedFields(document), this.writes);
    this.writeCount++;
  }

  /** Shallow merge: members of `value` replace those of the document, `{"$undefined": null}` removes them. */
  patch(component: string, id: string, value: JsonObject, tableName?: string): void {
    this.#change(component, id, tableName, "patch", (before) => {
      const after: JsonObject = { ...before };
      for (const [name, member] of Object.entries(value)) {
        if (kindOf(member) === "undefined") delete after[name];
        else after[name] = member;
      }
      return after;
    });
  }

  replace(component: string, id: string, value: JsonObject, tableName?: string): void {
    this.#change(component, id, tableName, "replace", ({ _id, _creationTime }) => ({
      _creationTime: _creationTime as number,
      _id: _id as string,
      ...value,
    }));
  }

  remove(component: string, id: string, tableName?: string): void {
    this.open();
    const { table, stored } = this.#existing(component, id, tableName, "delete");
    this.usage.add("documentsWritten", 1);
    const before = JSON.parse(stored.json) as JsonObject;
    this.#store.remove(table, stored, sortKey([id]), before, this.writes);
    this.writeCount++;
  }

  count(component: string, tableName: string): number {
    const table = this.table(component, tableName);
    if (table === undefined) return 0;
    this.reads.addRange(byIdIndexId(table), { start: new Uint8Array(), end: undefined });
    return this.#store.count(table);
  }

  /** Warnings for the log of the function about what came near a limit. */
  warnings(): string[] {
    const { id, bytes } = this.#largest;
    const large = nearLimit(`Large document written with ID ${id}`, bytes, DOCUMENT_BYTES_MAX, " bytes");
    return large === undefined ? this.usage.warnings() : [...this.usage.warnings(), large];
  }

  countQuery(): void {
    this.usage.add("databaseQueries", 1);
  }

  scan({ table, index, order, search }: Plan, range: Range, rowsMax: number): Row[] {
    if (search !== undefined) return search.rows(range, rowsMax, this.writeCount);
    return this.#store.scan(table, index, range, order, rowsMax);
  }

  countRead(row: Row): void {
    this.usage.read(row.json);
  }

  recordRead({ table, index, search }: Plan, range: Range): void {
    if (search !== undefined) {
      this.reads.addRange(search.index.readId, search.readRange);
      return;
    }
    this.reads.addRange(index === undefined ? byIdIndexId(table) : index.id, range);
  }

  /** The table that an id belongs to; undefined when no such table exists. */
  tableOfId(component: string, id: string, tableName: string | undefined, method: string): Table | undefined {
    const decoded = decodeId(id);
    if (decoded === null) {
      throw new UserError(
        "InvalidId",
        `Invalid argument \`id\` for \`db.${method}\`: Unable to decode ID: ${JSON.stringify(id)}`,
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

  #read(table: Table, id: string): Stored | undefined {
    const key = sortKey([id]);
    this.reads.addKey(byIdIndexId(table), key);
    const stored = this.#store.get(table, key);
    if (stored !== undefined) this.usage.read(stored.json);
    return stored;
  }

  #existing(component: string, id: string, tableName: string | undefined, method: string) {
    const table = this.tableOfId(component, id, tableName, method);
    // The engine names its own tables; functions cannot.
    if (table?.name.startsWith("_") && tableName === undefined) throw readOnly();
    const stored = table === undefined ? undefined : this.#read(table, id);
    if (table === undefined) throw new UserError("TableNotFound", `Table for ID "${id}" not found`);
    if (stored === undefined) {
      const verb = VERBS[method] ?? method;
      throw new UserError("NonexistentDocument", `${verb} on nonexistent document ID ${id}`);
    }
    return { table, stored };
  }

  #change(
    component: string,
    id: string,
    tableName: string | undefined,
    method: string,
    change: (before: JsonObject) => JsonObject,
  ): void {
    this.open();
    const { table, stored } = this.#existing(component, id, tableName, method);
    const before = JSON.parse(stored.json) as JsonObject;
    const after = change(before);
    for (const field of SYSTEM_FIELDS) {
      if (after[field] !== before[field]) {
        throw new UserError("InvalidDocument", `System field ${field} cannot be changed by ${method}`);
      }
    }
    const { _id, _creationTime, ...fields } = after;
    checkUserFields(fields);
    this.#check(component, table, after, method);
    const ordered = withSortedFields(after);
    this.#store.update(table, stored, sortKey([id]), before, ordered, this.writes);
    this.writeCount++;
  }

  #fillCommitTs(ts: number): void {
    for (const [id, table] of this.#awaitingTs) {
      const key = sortKey([id]);
      const stored = this.#store.get(table, key);
      if (stored === undefined) continue; // Deleted, or rolled back with the nested call that wrote it.
      const before = JSON.parse(stored.json) as JsonObject;
      if (holdsCommitTs(before))
        this.#store.update(table, stored, key, before, withCommitTs(before, ts), this.writes);
    }
  }

  #tableForWriting(component: string, name: string): Table {
    const table = this.#store.table(component, name);
    if (table !== undefined) return table;
    this.changeCatalog();
    this.writes.push({ indexId: CATALOG_INDEX_ID, key: sortKey([component, name]) });
    return this.#store.createTable(component, name);
  }

  #check(component: string, table: Table, document: JsonObject, method: string): void {
    const bytes = sizeOfDocument(document, method);
    if (bytes > DOCUMENT_BYTES_MAX) {
      throw new UserError(
        "ValueTooLargeError",
        `Value is too large (${(bytes / DOCUMENT_BYTES_MAX).toFixed(2)} MiB > maximum size 1 MiB)`,
      );
    }
    if (this.hasUsedCommitTs && holdsCommitTs(document)) {
      this.#awaitingTs.set(document._id as string, table);
    }
    for (const companion of table.companions) if (companion.kind === "vector") companion.check(document);
    if (bytes > this.#largest.bytes) this.#largest = { id: String(document._id), bytes };
    this.usage.add("documentsWritten", 1);
    this.usage.add("bytesWritten", bytes);
    if (!table.name.startsWith("_")) {
      checkDocument(this.#schemaOf(component), table, document, idsOf(this.#store, component));
    }
  }
}

const VERBS: Record<string, string> = { patch: "Update", replace: "Replace", delete: "Delete" };

export const readOnly = () =>
  new UserError("SystemTableReadOnly", "System tables (prefixed with `_`) are read-only.");

function sizeOfDocument(document: JsonObject, method: string): number {
  try {
    return measure(document, DOCUMENT_DEPTH_MAX);
  } catch (error) {
    if (!(error instanceof InvalidValue)) throw error;
    throw new UserError(
      "InvalidDocument",
      `Invalid argument \`value\` for \`db.${method}\`: ${error.message}`,
    );
  }
}

function checkUserFields(value: JsonObject): void {
  for (const name in value) {
    if (name.startsWith("_") && !(SYSTEM_FIELDS as readonly string[]).includes(name)) {
      throw new UserError(
        "InvalidDocument",
        `Field '${name}' starts with an underscore, which is only allowed for system fields like '_id'`,
      );
    }
  }
}

/** A document from a syscall. Throws UserError when the value is not an object. */
export function asDocument(value: Json | undefined, method: string): JsonObject {
  if (isObject(value) && kindOf(value) === "object") return value;
  throw new UserError(
    "InvalidDocument",
    `Invalid argument \`value\` for \`db.${method}\`: Value must be an Object`,
  );
}
