import { createHmac, randomUUID, timingSafeEqual } from "node:crypto";
import { eq, sql } from "drizzle-orm";
import type { Deployment } from "../deployment.ts";
import { UserError } from "../functions/errors.ts";
import type { Transaction } from "../functions/transaction.ts";
import type { Store } from "../store/store.ts";
import { FileRow, fileContents, files } from "../store/tables.ts";
import { decodeId } from "../values/id.ts";
import type { JsonObject } from "../values/wire.ts";
import type { Blobs, BlobWriter } from "./blobs.ts";

export const FILES_TABLE = "_storage";

const UPLOAD_TOKEN_MS_MAX = 3600_000;

/**
 * Files up to this size lie in the database: their bytes become durable together with the document, and with all else
 * that commits at that moment, where a file of its own costs two fsyncs, during which the engine stands still.
 */
const IN_DATABASE_BYTES_MAX = 64 * 1024;

/** A file that no transaction knows yet. Its bytes are `content`, or safe on disk when that is null. */
export type PreparedFile = {
  uuid: string;
  sha256: string;
  bytes: number;
  contentType: string | null;
  content: Uint8Array | null;
};

export type FileWriter = {
  write(chunk: Uint8Array): void;
  /** Throws UserError when the content is not the one that was stated; then `abort`. */
  finish(expectedSha256: string | null): PreparedFile;
  abort(): void;
};

/**
 * File storage: a row and a `_storage` document per file in the database, the bytes of small ones too; those of others
 * in the data directory.
 */
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

  /** Starts a file, chunk by chunk. Nothing points to it before `add`. */
  begin(contentType: string | null): FileWriter {
    return this.#begin(contentType, randomUUID(), IN_DATABASE_BYTES_MAX);
  }

  /** The same under a given name, and never in memory: for who prepares any number of files before one transaction. */
  beginOnDisk(contentType: string | null, uuid: string): FileWriter {
    return this.#begin(contentType, uuid, 0);
  }

  #begin(contentType: string | null, uuid: string, heldBytesMax: number): FileWriter {
    const hasher = new Bun.CryptoHasher("sha256");
    const held: Uint8Array[] = [];
    let writer: BlobWriter | undefined;
    let bytes = 0;
    return {
      write: (chunk) => {
        hasher.update(chunk);
        bytes += chunk.byteLength;
        if (bytes <= heldBytesMax) {
          held.push(new Uint8Array(chunk));
          return;
        }
        writer ??= this.#blobs.create(uuid);
        for (const before of held.splice(0)) writer.write(before);
        writer.write(chunk);
      },
      finish: (expected) => {
        const sha256 = hasher.digest("hex");
        const base64 = Buffer.from(sha256, "hex").toString("base64");
        if (expected !== null && expected !== sha256 && expected !== base64) {
          throw new UserError("Sha256Mismatch", "The SHA-256 of the file is not the one that was stated");
        }
        if (bytes > heldBytesMax || heldBytesMax === 0) {
          writer ??= this.#blobs.create(uuid);
          writer.finish();
          return { uuid, sha256, bytes, contentType, content: null };
        }
        return { uuid, sha256, bytes, contentType, content: Buffer.concat(held, bytes) };
      },
      abort: () => writer?.abort(),
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
    this.#keep(transaction, id, file);
    return id;
  }

  /** The same for a file that brings its document along: for imports. */
  restore(transaction: Transaction, component: string, file: PreparedFile, document: JsonObject): void {
    const table = this.#deployment.store.table(component, FILES_TABLE);
    if (table === undefined) throw new Error(`Component ${component} has no file table`);
    transaction.restore(table, component, document);
    this.#keep(transaction, document._id as string, file);
  }

  #keep(transaction: Transaction, storageId: string, { content, ...file }: PreparedFile): void {
    this.#statements.add.run({ storageId, ...file });
    if (content === null) transaction.afterRollback(() => this.#blobs.delete(file.uuid));
    else this.#statements.addContent.run({ uuid: file.uuid, content });
  }

  /** Takes the row away; bytes in the folder go when that is durable. */
  #forget(transaction: Transaction, { storageId, uuid }: FileRow): void {
    this.#statements.remove.run({ id: storageId });
    if (this.#statements.removeContent.all({ uuid }).length === 0)
      transaction.afterCommit(() => this.#discard(uuid));
  }

  /** Forgets all files of a component; their bytes go when that is durable. */
  clear(transaction: Transaction, component: string): void {
    const { store } = this.#deployment;
    const table = store.table(component, FILES_TABLE);
    if (table === undefined) return;
    for (const { _id } of store.documents(table)) {
      const file = this.#statements.byId.get({ id: _id as string });
      if (file !== undefined) this.#forget(transaction, FileRow.parse(file));
    }
    store.clearTable(table);
  }

  /** Deletes the bytes of a prepared file that no document will point to. */
  abandon(file: PreparedFile): void {
    if (file.content === null) this.#blobs.delete(file.uuid);
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
    this.#forget(transaction, file);
  }

  blob(transaction: Transaction, component: string, id: string): Blob | null {
    const file = this.#find(transaction, component, id, "get");
    return file === null ? null : this.#open(file);
  }

  /** For the public URL, which anyone may read who knows it. */
  byUuid(uuid: string): { file: FileRow; blob: Blob } | null {
    const row = this.#statements.byUuid.get({ uuid });
    if (row === undefined) return null;
    const file = FileRow.parse(row);
    return { file, blob: this.#open(file) };
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

  /** The bytes of a file in the folder, whether or not it has been deleted since it was pinned. */
  bytesOnDisk(uuid: string): Blob {
    return this.#blobs.open(uuid, null);
  }

  #open({ uuid, contentType }: FileRow): Blob {
    const content = this.#statements.content.get({ uuid })?.content;
    if (content === undefined) return this.#blobs.open(uuid, contentType);
    return new Blob([new Uint8Array(content)], contentType === null ? {} : { type: contentType });
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
    addContent: orm
      .insert(fileContents)
      .values({ uuid: value("uuid"), content: value("content") })
      .prepare(),
    content: orm
      .select({ content: fileContents.content })
      .from(fileContents)
      .where(eq(fileContents.uuid, value("uuid")))
      .prepare(),
    removeContent: orm
      .delete(fileContents)
      .where(eq(fileContents.uuid, value("uuid")))
      .returning({ uuid: fileContents.uuid })
      .prepare(),
  };
}
