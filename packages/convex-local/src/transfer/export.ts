import type { Database } from "bun:sqlite";
import { rmSync } from "node:fs";
import { type Deployment, ROOT } from "../deployment.ts";
import { UserError } from "../functions/errors.ts";
import { FileRow } from "../store/tables.ts";
import { type Json, type JsonObject, writeInt64 } from "../values/wire.ts";
import { type ArchiveEntry, writeArchive } from "./archive.ts";
import { toExportText } from "./export-json.ts";
import type { Snapshot } from "./snapshot.ts";
import { TRANSFERS, touchTransfers } from "./watch.ts";

type State =
  | { state: "requested" | "in_progress" | "failed"; startTs: number }
  | { state: "completed"; startTs: number; completeTs: number };

/** Texts are gathered to pieces of about this size before they are compressed. */
const PIECE_CHARS = 64 * 1024;
const NANOSECONDS_PER_MICROSECOND = 1000n;

const README = `# A snapshot of a Convex deployment

Each table has a folder with its documents, one line of JSON each, in documents.jsonl. _tables lists the tables
with their numbers, which are part of ids. Stored files are in _storage, if they were asked for; components are in
_components, each with the same folders. \`npx convex import\` takes this file as it is.
`;

/** Snapshot exports: the newest can be fetched until the next one is made. */
export class Exports {
  readonly #deployment: Deployment;
  #latest: State | null = null;

  constructor(deployment: Deployment) {
    this.#deployment = deployment;
  }

  /** Begins an export. Throws UserError `ExportInProgress` while one is being made. */
  request(withFiles: boolean): void {
    if (this.#latest?.state === "requested" || this.#latest?.state === "in_progress") {
      throw new UserError("ExportInProgress", "There is already an export requested or in progress.");
    }
    if (this.#latest !== null) rmSync(this.#path(this.#latest.startTs), { force: true });
    const startTs = this.#deployment.store.ts;
    this.#become({ state: "in_progress", startTs });
    this.#write(startTs, withFiles).then(
      () => this.#become({ state: "completed", startTs, completeTs: this.#deployment.store.ts }),
      (error: unknown) => {
        this.#deployment.log("export.failed", { error });
        rmSync(this.#path(startTs), { force: true });
        this.#become({ state: "failed", startTs });
      },
    );
  }

  /** As `_system/cli/exports:getLatest` tells it. */
  latest(): Json {
    if (this.#latest === null) return null;
    const { state, startTs } = this.#latest;
    if (state !== "completed") return { state };
    const name = `${nanoseconds(startTs)}.zip`;
    return {
      state,
      start_ts: writeInt64(nanoseconds(startTs)),
      complete_ts: writeInt64(nanoseconds(this.#latest.completeTs)),
      zip_object_key: name,
    };
  }

  /** The archive whose export began at that timestamp, in nanoseconds. Throws UserError when it is not there. */
  file(ts: string): Response {
    const found = this.#latest;
    if (found?.state !== "completed" || String(nanoseconds(found.startTs)) !== ts) {
      throw new UserError("ExportNotFound", "There is no such export; only the newest one is kept");
    }
    const filename = `snapshot_${this.#deployment.instanceName}_${ts}.zip`;
    return new Response(Bun.file(this.#path(found.startTs)), {
      headers: {
        "content-type": "application/zip",
        "content-disposition": `attachment; filename=${filename}`,
      },
    });
  }

  async #write(startTs: number, withFiles: boolean): Promise<void> {
    const { snapshots, components } = this.#deployment;
    const snapshot = await snapshots.take();
    try {
      const entries = entriesOf(snapshot, [...components.keys()], withFiles);
      await writeArchive(this.#path(startTs), entries, snapshot.at);
    } finally {
      snapshot.release();
    }
  }

  #path(startTs: number): string {
    return this.#deployment.snapshots.place(`export-${startTs}.zip`);
  }

  #become(state: State): void {
    this.#latest = state;
    touchTransfers(this.#deployment.live, TRANSFERS.exports);
  }
}

const nanoseconds = (ts: number) => BigInt(ts) * NANOSECONDS_PER_MICROSECOND;

type TableRow = { id: number; component: string; name: string; number: number };

/** Everything of a snapshot, components after the app, files last. */
export function* entriesOf(
  { database, blob }: Snapshot,
  components: readonly string[],
  withFiles: boolean,
): Generator<ArchiveEntry> {
  yield text("README.md", README);
  const all = database.query<TableRow, []>("SELECT * FROM tables ORDER BY component, number").all();
  const kept = new Set([ROOT, ...components]);
  const tables = all.filter(({ component }) => kept.has(component));
  const paths = [...new Set(tables.map(({ component }) => component))];
  for (const component of paths) {
    const own = tables.filter((table) => table.component === component && !table.name.startsWith("_"));
    const lines = own.map(({ name, number }) => `${JSON.stringify({ name, id: number })}\n`);
    yield text(`${prefixOf(component)}_tables/documents.jsonl`, lines.join(""));
  }
  for (const { id, component, name } of tables) {
    if (name.startsWith("_")) continue;
    const folder = `${prefixOf(component)}${name}`;
    yield { name: `${folder}/documents.jsonl`, content: () => pieces(documentLines(database, id)) };
    // Says that the lines are in the one form for all types, which needs no schema to be read.
    yield text(`${folder}/generated_schema.jsonl`, '"uniform"\n');
  }
  if (!withFiles) return;
  for (const { id, component, name } of tables) {
    if (name !== "_storage") continue;
    const folder = `${prefixOf(component)}_storage`;
    yield { name: `${folder}/documents.jsonl`, content: () => pieces(fileLines(database, id)) };
    for (const { file, document } of storedFiles(database, id)) {
      yield {
        name: `${folder}/${document._id as string}${extensionOf(file.contentType)}`,
        content: () => blob(file.uuid).stream() as unknown as AsyncIterable<Uint8Array>,
      };
    }
  }
}

const prefixOf = (component: string): string =>
  component === ROOT
    ? ""
    : component
        .split("/")
        .map((name) => `_components/${name}/`)
        .join("");

async function* textOf(content: string): AsyncGenerator<string> {
  yield content;
}

const text = (name: string, content: string): ArchiveEntry => ({ name, content: () => textOf(content) });

async function* pieces(lines: Iterable<string>): AsyncGenerator<string> {
  let piece = "";
  for (const line of lines) {
    piece += line;
    if (piece.length < PIECE_CHARS) continue;
    yield piece;
    piece = "";
  }
  if (piece !== "") yield piece;
}

function* documents(database: Database, tableId: number): Generator<JsonObject> {
  const rows = database.prepare<{ json: string }, [number]>(
    "SELECT json FROM docs WHERE table_id = ? ORDER BY key",
  );
  try {
    for (const { json } of rows.iterate(tableId)) yield JSON.parse(json) as JsonObject;
  } finally {
    rows.finalize();
  }
}

function* documentLines(database: Database, tableId: number): Generator<string> {
  for (const document of documents(database, tableId)) yield `${toExportText(document)}\n`;
}

function* storedFiles(database: Database, tableId: number) {
  const find = database.query<unknown, [string]>(
    `SELECT storage_id AS storageId, uuid, sha256, bytes, content_type AS contentType
     FROM files WHERE storage_id = ?`,
  );
  for (const document of documents(database, tableId)) {
    const file = find.get(document._id as string);
    if (file !== null) yield { document, file: FileRow.parse(file) };
  }
}

function* fileLines(database: Database, tableId: number): Generator<string> {
  for (const { document, file } of storedFiles(database, tableId)) {
    const { _id, _creationTime, sha256, contentType } = document;
    const line = { _id, _creationTime, sha256, size: file.bytes, contentType, internalId: file.uuid };
    yield `${JSON.stringify(line)}\n`;
  }
}

/** So that a person can open a file; nobody else reads it. */
const EXTENSIONS: Record<string, string> = {
  "application/json": ".json",
  "application/pdf": ".pdf",
  "application/zip": ".zip",
  "image/gif": ".gif",
  "image/jpeg": ".jpeg",
  "image/png": ".png",
  "image/svg+xml": ".svg",
  "image/webp": ".webp",
  "message/rfc822": ".eml",
  "text/csv": ".csv",
  "text/html": ".html",
  "text/plain": ".txt",
};

const extensionOf = (contentType: string | null): string =>
  EXTENSIONS[contentType?.split(";")[0]?.trim().toLowerCase() ?? ""] ?? "";
