import { createHmac, randomUUID, timingSafeEqual } from "node:crypto";
import { eq, sql } from "drizzle-orm";
import type { Deployment } from "../deployment.ts";
import { UserError } from "../functions/errors.ts";
import type { Transaction } from "../functions/transaction.ts";
import type { Store } from "../store/store.ts";
import { FileRow, files } from "../store/tables.ts";
import { decodeId } from "../values/id.ts";
import type { JsonObject } from "../values/wire.ts";
import type { Blobs } from "./blobs.ts";

export const FILES_TABLE = "_storage";

const UPLOAD_TOKEN_MS_MAX = 3600_000;

/** A file whose bytes are safe on disk and which no transaction knows yet. */
export type PreparedFile = { uuid: string; sha256: string; bytes: number; contentType: string | null };

export type FileWriter = {
  write(chunk: Uint8Array): void;
  /** Throws UserError when the content is not the one that was stated; then `abort`. */
  finish(expectedSha256: string | null): PreparedFile;
  abort(): void;
};

/** File storage: bytes in the data directory, a row and a `_storage` document per file in the database. */
export class Files {
  readonly #deployment: Deployment;
  readonly #blobs: Blobs;
  readonly #uploadKey: string;
  readonly #statements: ReturnType<typeof prepare>;
  #pins = 0;
  readonly #discarded: string[] = [];

  constructor(deployment: Deployment, blobs: Blobs, instanceSecret: string) {
    this.#deployment = deployment;
    this.#blobs = blobs;
    this.#uploadKey = `upload ${instanceSecret}`;
    this.#statements = prepare(deployment.store);
  }

  /** Starts a file, chunk by chunk; `finish` makes it durable. Nothing points to it before `add`. */
  begin(contentType: string | null, uuid: string = randomUUID()): FileWriter {
    const writer = this.#blobs.create(uuid);
    const hasher = new Bun.CryptoHasher("sha256");
    let bytes = 0;
    return {
      write(chunk) {
        writer.write(chunk);
        hasher.update(chunk);
        bytes += chunk.byteLength;
      },
      finish(expected) {
        const sha256 = hasher.digest("hex");
        const base64 = Buffer.from(sha256, "hex").toString("base64");
        if (expected !== null && expected !== sha256 && expected !== base64) {
          throw new UserError("Sha256Mismatch", "The SHA-256 of the file is not the one that was stated");
        }
        writer.finish();
        return { uuid, sha256, bytes, contentType };
      },
      abort: () => writer.abort(),
    };
  }

  /** The same for bytes that are all there. `expected` is the SHA-256 that the sender states, hex or base64. */
  prepare(bytes: Uint8Array, contentType: string | null, expected: string | null): PreparedFile {
    const file = this.begin(contentType);
    try {
      file.write(bytes);
      return file.finish(expected);
    } catch (error) {
      file.abort();
      throw error;
    }
  }

  add(transaction: Transaction, component: string, file: PreparedFile): string {
    const table = this.#deployment.store.table(component, FILES_TABLE);
    if (table === undefined) throw new Error(`Component ${component} has no file table`);
    const id = transaction.insertInto(table, component, {
      sha256: Buffer.from(file.sha256, "hex").toString("base64"),
      size: file.bytes,
      ...(file.contentType === null ? {} : { contentType: file.contentType }),
    });
    this.#statements.add.run({ storageId: id, ...file });
    transaction.afterRollback(() => this.#blobs.delete(file.uuid));
    return id;
  }

  /** The same for a file that brings its document along: for imports. */
  restore(transaction: Transaction, component: string, file: PreparedFile, document: JsonObject): void {
    const table = this.#deployment.store.table(component, FILES_TABLE);
    if (table === undefined) throw new Error(`Component ${component} has no file table`);
    transaction.restore(table, component, document);
    this.#statements.add.run({ storageId: document._id as string, ...file });
  }

  /** Forgets all files of a component; their bytes go when that is durable. */
  clear(transaction: Transaction, component: string): void {
    const { store } = this.#deployment;
    const table = store.table(component, FILES_TABLE);
    if (table === undefined) return;
    for (const { _id } of store.documents(table)) {
      const file = this.#statements.byId.get({ id: _id as string });
      this.#statements.remove.run({ id: _id as string });
      if (file !== undefined) transaction.afterCommit(() => this.#discard(file.uuid));
    }
    store.clearTable(table);
  }

  /** Deletes the bytes of a prepared file that no document will point to. */
  abandon(file: PreparedFile): void {
    this.#blobs.delete(file.uuid);
  }

  url(transaction: Transaction, component: string, id: string): string | null {
    const file = this.#find(transaction, component, id, "getUrl");
    return file === null ? null : `${this.#deployment.cloudOrigin()}/api/storage/${file.uuid}`;
  }

  metadata(transaction: Transaction, component: string, id: string) {
    const file = this.#find(transaction, component, id, "getMetadata");
    if (file === null) return null;
    return { storageId: id, sha256: file.sha256, size: file.bytes, contentType: file.contentType };
  }

  delete(transaction: Transaction, component: string, id: string): void {
    const file = this.#find(transaction, component, id, "delete");
    if (file === null) throw new UserError("StorageFileNotFound", `storage id ${id} not found`);
    transaction.remove(component, id, FILES_TABLE);
    this.#statements.remove.run({ id });
    transaction.afterCommit(() => this.#discard(file.uuid));
  }

  blob(transaction: Transaction, component: string, id: string): Blob | null {
    const file = this.#find(transaction, component, id, "get");
    return file === null ? null : this.#blobs.open(file.uuid, file.contentType);
  }

  /** For the public URL, which anyone may read who knows it. */
  byUuid(uuid: string): { file: FileRow; blob: Blob } | null {
    const row = this.#statements.byUuid.get({ uuid });
    if (row === undefined) return null;
    const file = FileRow.parse(row);
    return { file, blob: this.#blobs.open(file.uuid, file.contentType) };
  }

  uploadUrl(component: string, nowMs: number): string {
    const expiresMs = Math.floor(nowMs) + UPLOAD_TOKEN_MS_MAX;
    const body = Buffer.from(JSON.stringify([component, expiresMs])).toString("base64url");
    return `${this.#deployment.cloudOrigin()}/api/storage/upload?token=${body}.${this.#sign(body)}`;
  }

  /** The component that an upload token is for. Throws UserError when it is wrong or too old. */
  checkUploadToken(token: string): string {
    const [body = "", signature = ""] = token.split(".", 2);
    const expected = Buffer.from(this.#sign(body));
    const given = Buffer.from(signature);
    if (expected.byteLength !== given.byteLength || !timingSafeEqual(expected, given)) {
      throw new UserError("StorageTokenInvalid", "The upload token is not valid");
    }
    const [component, expiresMs] = JSON.parse(Buffer.from(body, "base64url").toString()) as [string, number];
    if (expiresMs < this.#deployment.now()) {
      throw new UserError("StorageTokenExpired", "The upload URL has expired, ask for a new one");
    }
    return component;
  }

  /** Deletes bytes that no row points to: left by a crash between writing and committing. */
  sweep(): void {
    const known = new Set(
      this.#deployment.store.sql.orm
        .select({ uuid: files.uuid })
        .from(files)
        .all()
        .map(({ uuid }) => uuid),
    );
    for (const uuid of this.#blobs.list()) if (!known.has(uuid)) this.#blobs.delete(uuid);
  }

  /** Keeps the bytes of deleted files until it is released: for who copies the files of one moment. */
  pin(): { release(): void } {
    this.#pins++;
    let isPinned = true;
    return {
      release: () => {
        if (isPinned) this.#pins--;
        isPinned = false;
        if (this.#pins === 0) for (const uuid of this.#discarded.splice(0)) this.#blobs.delete(uuid);
      },
    };
  }

  /** The bytes of a file, whether or not it has been deleted since it was pinned. */
  bytes(uuid: string): Blob {
    return this.#blobs.open(uuid, null);
  }

  #discard(uuid: string): void {
    if (this.#pins > 0) this.#discarded.push(uuid);
    else this.#blobs.delete(uuid);
  }

  #find(transaction: Transaction, component: string, id: string, method: string): FileRow | null {
    const table = transaction.table(component, FILES_TABLE);
    if (table === undefined || decodeId(id)?.tableNumber !== table.number) {
      throw new UserError(
        "InvalidStorageId",
        `Invalid argument \`storageId\` for \`storage.${method}\`: ${JSON.stringify(id)} is not the ID of a file`,
      );
    }
    if (transaction.get(component, id, FILES_TABLE, true) === null) return null;
    const row = this.#statements.byId.get({ id });
    return row === undefined ? null : FileRow.parse(row);
  }

  #sign(body: string): string {
    return createHmac("sha256", this.#uploadKey).update(body).digest("base64url");
  }
}

function prepare({ sql: { orm } }: Store) {
  const value = sql.placeholder;
  return {
    add: orm
      .insert(files)
      .values({
        storageId: value("storageId"),
        uuid: value("uuid"),
        sha256: value("sha256"),
        bytes: value("bytes"),
        contentType: value("contentType"),
      })
      .prepare(),
    byId: orm
      .select()
      .from(files)
      .where(eq(files.storageId, value("id")))
      .prepare(),
    byUuid: orm
      .select()
      .from(files)
      .where(eq(files.uuid, value("uuid")))
      .prepare(),
    remove: orm
      .delete(files)
      .where(eq(files.storageId, value("id")))
      .prepare(),
  };
}
