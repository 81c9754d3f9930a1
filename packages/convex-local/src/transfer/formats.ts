import { Readable } from "node:stream";
import { parse as parseCsv } from "csv-parse";
import { UserError } from "../functions/errors.ts";
import { decodeId } from "../values/id.ts";
import type { Json, JsonObject } from "../values/wire.ts";
import { type Archive, openArchive } from "./archive.ts";
import { fromExportText, fromPlainText, isRecord } from "./export-json.ts";

export const Formats = ["csv", "jsonLines", "jsonArray", "zip"] as const;
export type Format = (typeof Formats)[number];

export type ImportRow = { line: number; value: JsonObject };
/** The rows of one table, which can be read more than once. */
export type Source = {
  component: string;
  table: string;
  format: Format;
  rows(): AsyncIterable<ImportRow>;
};
export type StoredFile = { component: string; id: string; bytes(): AsyncIterable<Uint8Array> };

export type ImportContent = {
  sources: readonly Source[];
  files: readonly StoredFile[];
  close(): void;
};

const LINE_CHARS_MAX = 16 * 1024 * 1024;
const ARRAY_BYTES_MAX = 64 * 1024 * 1024;
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const BYTE_ORDER_MARK = "\ufeff";

/** Opens an uploaded file. Throws UserError for what is not of its format; rows are checked as they are read. */
export async function openImport(
  path: string,
  format: Format,
  target: { component: string; table: string | null },
): Promise<ImportContent> {
  if (format === "zip") return fromArchive(await openArchive(path), target.component);
  const { component, table } = target;
  if (table === null) throw new UserError("TableNameMissing", `A table name is needed for ${format}`);
  const open = (): AsyncIterable<Uint8Array> => Bun.file(path).stream() as never;
  const rows =
    format === "csv"
      ? () => csvRows(open())
      : format === "jsonLines"
        ? () => jsonRows(open(), fromPlainText)
        : () => arrayRows(path);
  return { sources: [{ component, table, format, rows }], files: [], close: () => {} };
}

/** Folders of tables, as an export has them, perhaps all in one folder more. */
function fromArchive(archive: Archive, base: string): ImportContent {
  const sources: Source[] = [];
  const files: StoredFile[] = [];
  for (const name of archive.names) {
    const steps = name.split("/");
    const file = steps.pop() ?? "";
    const folder = steps.pop();
    if (folder === undefined) continue;
    const component = [base, ...componentOf(steps)].filter((part) => part !== "").join("/");
    if (file === "documents.jsonl") {
      if (folder.startsWith("_") && folder !== "_tables" && folder !== "_storage") continue;
      // System tables have lines of plain JSON; the others say by their schema file how numbers are written.
      const schema = name.replace(/documents\.jsonl$/, "generated_schema.jsonl");
      const hasSchema = !folder.startsWith("_") && archive.names.includes(schema);
      sources.push({
        component,
        table: folder,
        format: "zip",
        rows: () => archiveRows(archive, name, hasSchema ? schema : null),
      });
    } else if (folder === "_storage") {
      const id = file.split(".")[0] ?? "";
      if (decodeId(id) === null) throw new UserError("InvalidStorageId", `${name}: ${id} is not an ID`);
      files.push({ component, id, bytes: () => archive.read(name) });
    }
  }
  if (sources.length === 0) throw new UserError("EmptyImport", "The archive has no <table>/documents.jsonl");
  return { sources, files, close: () => archive.close() };
}

/** Names of components on the way to a table: `_components/a/_components/b` is a, b. */
function componentOf(steps: string[]): string[] {
  const names: string[] = [];
  while (steps.at(-2) === "_components") {
    names.unshift(steps.pop() ?? "");
    steps.pop();
  }
  return names;
}

async function* archiveRows(
  archive: Archive,
  name: string,
  schema: string | null,
): AsyncGenerator<ImportRow> {
  let isUniform = false;
  if (schema !== null)
    for await (const line of lines(archive.read(schema))) isUniform ||= line.includes('"uniform"');
  yield* jsonRows(archive.read(name), isUniform ? fromExportText : fromPlainText);
}

async function* jsonRows(
  bytes: AsyncIterable<Uint8Array>,
  read: (text: string) => Json,
): AsyncGenerator<ImportRow> {
  let line = 0;
  for await (const text of lines(bytes)) {
    line++;
    if (text.trim() === "") continue;
    yield { line, value: rowOf(line, () => read(text)) };
  }
}

async function* arrayRows(path: string): AsyncGenerator<ImportRow> {
  const file = Bun.file(path);
  if (file.size > ARRAY_BYTES_MAX) {
    throw new UserError(
      "JsonArrayTooLarge",
      `A JSON array may have ${ARRAY_BYTES_MAX} bytes, not ${file.size}: convert it to JSON lines (jq -c '.[]')`,
    );
  }
  let rows: Json;
  try {
    rows = fromPlainText((await file.text()).replace(BYTE_ORDER_MARK, ""));
  } catch (error) {
    throw new UserError("NotJson", `The file is not JSON: ${(error as Error).message}`);
  }
  if (!Array.isArray(rows)) throw new UserError("NotJsonArray", "The file is not a JSON array");
  for (const [index, row] of rows.entries()) yield { line: index + 1, value: rowOf(index + 1, () => row) };
}

/** The first line names the fields; a cell that reads as a number is one, any other is text (RFC 4180). */
async function* csvRows(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<ImportRow> {
  const parser = parseCsv({
    bom: true,
    columns: (names: string[]) => names.map(headerOf),
    max_record_size: LINE_CHARS_MAX,
  });
  const input = Readable.from(bytes);
  input.once("error", (error) => parser.destroy(error));
  input.pipe(parser);
  let line = 0;
  try {
    for await (const record of parser as AsyncIterable<Record<string, string>>) {
      line++;
      const cells = Object.entries(record).map(([name, cell]) => [
        name,
        NUMBER.test(cell) ? Number(cell) : cell,
      ]);
      yield { line, value: Object.fromEntries(cells) as JsonObject };
    }
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError("CsvInvalidRow", `Row ${line + 1} of the CSV file: ${(error as Error).message}`);
  } finally {
    input.destroy();
  }
}

function headerOf(name: string): string {
  const field = name.trim();
  if (/^[\x20-\x7e]+$/.test(field) && !field.startsWith("$")) return field;
  throw new UserError("CsvInvalidHeader", `CSV header ${JSON.stringify(name)} is not a valid field name`);
}

function rowOf(line: number, read: () => Json): JsonObject {
  let value: Json;
  try {
    value = read();
  } catch (error) {
    throw new UserError("JsonInvalidRow", `Row ${line} is not valid JSON: ${(error as Error).message}`);
  }
  if (isRecord(value)) return value;
  throw new UserError("NotAnObject", `Row ${line} is not an object`);
}

async function* lines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const decode = (chunk?: Uint8Array) => {
    try {
      return chunk === undefined ? decoder.decode() : decoder.decode(chunk, { stream: true });
    } catch (error) {
      throw new UserError("NotUtf8", `The file is not UTF-8: ${(error as Error).message}`);
    }
  };
  let rest = "";
  for await (const chunk of chunks) {
    rest += decode(chunk);
    const parts = rest.split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
    if (rest.length > LINE_CHARS_MAX)
      throw new UserError("LineTooLong", `A line has more than ${LINE_CHARS_MAX} characters`);
  }
  rest += decode();
  if (rest !== "") yield rest;
}
