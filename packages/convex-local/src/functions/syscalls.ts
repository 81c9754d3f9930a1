import { z } from "zod";
import type { Deployment } from "../deployment.ts";
import { fingerprintOf } from "../query/cursor.ts";
import { readPage } from "../query/page.ts";
import { type Plan, plan, QueryJson, tableNameOf } from "../query/plan.ts";
import { QueryStream } from "../query/stream.ts";
import { decodeId } from "../values/id.ts";
import { isObject, type Json, writeInt64 } from "../values/wire.ts";
import { UserError } from "./errors.ts";
import { toSyscallError } from "./failure.ts";
import type { Frame, Host } from "./frame.ts";
import { CONCURRENT_OPERATIONS_MAX, type TransactionLimits } from "./limits.ts";
import { canonicalPath, resolveFunction } from "./module.ts";
import { asDocument, readOnly, type Transaction } from "./transaction.ts";

type Args = Record<string, Json>;
type Handler = (deployment: Deployment, frame: Frame, args: Args) => string | Promise<string>;

/** Answers what `convex/server` asks of its engine, by the name of the operation. */
export class Syscalls implements Host {
  readonly #deployment: Deployment;

  constructor(deployment: Deployment) {
    this.#deployment = deployment;
  }

  syscall(frame: Frame, op: string, args: Args): Json {
    try {
      return this.#syscallNow(frame, op, args);
    } catch (error) {
      throw forFunction(op, error);
    }
  }

  #syscallNow(frame: Frame, op: string, args: Args): Json {
    const deployment = this.#deployment;
    switch (op) {
      case "1.0/queryStream":
        return { queryId: openStream(frame, args) };
      case "1.0/queryCleanup":
        return closeStream(frame, number(args.queryId));
      case "1.0/db/normalizeId":
        return { id: normalizeId(transactionOf(frame), frame.component, args) };
      case "1.0/getSnapshotTs":
        return writeInt64(BigInt(deployment.store.ts) * 1000n);
      case "1.0/componentArgument":
        return {};
      default:
        throw new Error(`Unknown operation ${op}`);
    }
  }

  async asyncSyscall(frame: Frame, op: string, args: Args): Promise<string> {
    const handlers = frame.transaction === null ? inActions : inTransactions;
    const handler = handlers[op] ?? everywhere[op];
    if (handler === undefined) throw new Error(`Unknown async operation ${op}`);
    if (frame.transaction === null && frame.operations >= CONCURRENT_OPERATIONS_MAX) {
      throw new Error(
        `Too many concurrent operations in one action (limit: ${CONCURRENT_OPERATIONS_MAX}). Await some of them first.`,
      );
    }
    frame.operations++;
    try {
      // What a nested mutation does must be all of what happens between its savepoint and its end.
      while (frame.child !== null) await frame.child;
      if (frame.isClosed) throw new Error(`The function ${frame.path} has already ended`);
      return await handler(this.#deployment, frame, args);
    } catch (error) {
      throw forFunction(op, error);
    } finally {
      frame.operations--;
    }
  }

  jsSyscall(frame: Frame, op: string, args: Record<string, unknown>): unknown {
    const { files, runner } = this.#deployment;
    switch (op) {
      case "storage/storeBlob": {
        const { blob, options } = StoreBlob.parse(args);
        return blob.bytes().then((bytes) => {
          const file = files.prepare(bytes, blob.type === "" ? null : blob.type, options?.sha256 ?? null);
          return runner.transact((transaction) => files.add(transaction, frame.component, file));
        });
      }
      case "storage/getBlob":
        return runner.transact((transaction) =>
          files.blob(transaction, frame.component, text(args.storageId)),
        );
      default:
        throw new Error(`Unknown operation ${op}`);
    }
  }
}

/** An error of the engine as a function sees it: a plain Error with a message. */
function forFunction(op: string, error: unknown): unknown {
  if (error instanceof z.ZodError)
    return new Error(`Invalid arguments for ${op}: ${z.prettifyError(error)}`, { cause: error });
  return error instanceof UserError ? new Error(error.message, { cause: error }) : error;
}

const StoreBlob = z.object({
  blob: z.instanceof(Blob),
  options: z.object({ sha256: z.string().optional() }).nullish(),
});

/** Queries and mutations: inside a transaction. */
const inTransactions: Record<string, Handler> = {
  "1.0/get": (_, frame, { id, table, isSystem }) =>
    transactionOf(frame).get(frame.component, text(id), optionalText(table), isSystem === true) ?? "null",

  "1.0/queryStreamNext": (_, frame, { queryId }) => {
    const stream = frame.streams.get(number(queryId));
    const row = stream?.next();
    return row === undefined ? '{"value":null,"done":true}' : `{"value":${row.json},"done":false}`;
  },

  "1.0/queryPage": (deployment, frame, args) => queryPage(deployment, frame, args),

  "1.0/count": (_, frame, { table }) => String(transactionOf(frame).count(frame.component, text(table))),

  "1.0/insert": (_, frame, { table, value }) => {
    const id = writable(frame).insert(frame.component, text(table), asDocument(value, "insert"));
    return JSON.stringify({ _id: id });
  },
  "1.0/shallowMerge": (_, frame, { id, table, value }) =>
    writable(frame).patch(frame.component, text(id), asDocument(value, "patch"), userTable(table)),
  "1.0/replace": (_, frame, { id, table, value }) =>
    writable(frame).replace(frame.component, text(id), asDocument(value, "replace"), userTable(table)),
  "1.0/remove": (_, frame, { id, table }) =>
    writable(frame).remove(frame.component, text(id), userTable(table)),

  "1.0/runUdf": async ({ runner }, frame, args) => {
    if (args.udfType === "snapshotQuery" && transactionOf(frame).hasWritten) {
      throw new UserError(
        "StaleSnapshotNotSupported",
        "`useStaleSnapshot` is only supported before the first write of a mutation",
      );
    }
    const kind = args.udfType === "mutation" ? "mutation" : "query";
    const { component, path } = addressOf(frame, args);
    const running = runner.nested(frame, kind, component, path, args.args ?? {}, limitsOf(args));
    // Others only wait for the end; the error belongs to the caller of this one.
    const ended = running.then(
      () => {},
      () => {},
    );
    frame.child = ended;
    try {
      return await running;
    } finally {
      if (frame.child === ended) frame.child = null;
    }
  },

  "1.0/schedule": (deployment, frame, args) => schedule(deployment, writable(frame), frame, args),
  "1.0/cancel_job": ({ scheduler }, frame, { id }) => {
    scheduler.cancel(writable(frame), frame.component, text(id));
    return "null";
  },

  "1.0/storageGetUrl": ({ files }, frame, { storageId }) =>
    JSON.stringify(files.url(transactionOf(frame), frame.component, text(storageId))),
  "1.0/storageGetMetadata": ({ files }, frame, { storageId }) =>
    JSON.stringify(files.metadata(transactionOf(frame), frame.component, text(storageId))),
  "1.0/storageDelete": ({ files }, frame, { storageId }) => {
    files.delete(writable(frame), frame.component, text(storageId));
    return "null";
  },
  "1.0/storageStore": ({ files }, frame, { blob, contentType, sha256 }) => {
    const bytes = Buffer.from(text(blob), "base64");
    const type = optionalText(contentType);
    const file = files.prepare(
      bytes,
      type === undefined || type === "" ? null : type,
      optionalText(sha256) ?? null,
    );
    return JSON.stringify(files.add(writable(frame), frame.component, file));
  },
  "1.0/storageGet": async ({ files }, frame, { storageId }) => {
    const blob = files.blob(transactionOf(frame), frame.component, text(storageId));
    if (blob === null) return "null";
    const bytes = Buffer.from(await blob.arrayBuffer());
    return JSON.stringify({
      blob: bytes.toString("base64"),
      contentType: blob.type === "" ? null : blob.type,
    });
  },

  "1.0/getTransactionMetrics": (_, frame) => JSON.stringify(transactionOf(frame).usage.metrics()),
};

/** Actions and HTTP actions: every step is a transaction of its own. */
const inActions: Record<string, Handler> = {
  "1.0/actions/query": async ({ runner }, frame, args) => unwrap(await runner.query(callOf(frame, args))),
  "1.0/actions/mutation": async ({ runner }, frame, args) =>
    unwrap(await runner.mutation(callOf(frame, args))),
  "1.0/actions/action": async ({ runner }, frame, args) =>
    unwrap(await runner.nestedAction(callOf(frame, args))),

  "1.0/actions/schedule": (deployment, frame, args) =>
    deployment.runner.transact((transaction) => schedule(deployment, transaction, frame, args)),
  "1.0/actions/cancel_job": ({ runner, scheduler }, frame, { id }) =>
    runner.transact((transaction) => {
      scheduler.cancel(transaction, frame.component, text(id));
      return "null";
    }),

  "1.0/storageGetUrl": ({ runner, files }, frame, { storageId }) =>
    runner.transact((transaction) =>
      JSON.stringify(files.url(transaction, frame.component, text(storageId))),
    ),
  "1.0/storageGetMetadata": ({ runner, files }, frame, { storageId }) =>
    runner.transact((transaction) =>
      JSON.stringify(files.metadata(transaction, frame.component, text(storageId))),
    ),
  "1.0/storageDelete": ({ runner, files }, frame, { storageId }) =>
    runner.transact((transaction) => {
      files.delete(transaction, frame.component, text(storageId));
      return "null";
    }),
  "1.0/actions/vectorSearch": () => {
    throw new UserError("VectorSearchNotSupported", "Vector search is not supported");
  },
};

/** Answers that do not depend on the kind of function. */
const everywhere: Record<string, Handler> = {
  "1.0/getUserIdentity": (_, frame) => JSON.stringify(frame.identity),
  "1.0/storageGenerateUploadUrl": ({ files }, frame) =>
    JSON.stringify(files.uploadUrl(frame.component, frame.nowMs)),
  "1.0/createFunctionHandle": (deployment, frame, args) => {
    const { component, path } = addressOf(frame, args);
    resolveFunction(deployment.components.get(component)?.modules ?? new Map(), path, false);
    return JSON.stringify(`function://${component}#${canonicalPath(path)}`);
  },
  "1.0/getFunctionMetadata": (_, frame) =>
    JSON.stringify({ name: frame.path, componentPath: frame.component }),
  "1.0/getDeploymentMetadata": ({ instanceName }) =>
    JSON.stringify({ name: instanceName, region: null, class: "local" }),
  "1.0/getRequestMetadata": (_, frame) => JSON.stringify(frame.metadata),
};

const RequestedLimits = z.record(z.string(), z.number().nonnegative().optional()).nullish();

/** The limits that a nested call asks for; unknown ones are newer than this engine. */
function limitsOf(args: Args): Partial<TransactionLimits> {
  return (RequestedLimits.parse(args.transactionLimits) ?? {}) as Partial<TransactionLimits>;
}

/** The table that a write names, if it does; functions cannot write into system tables. */
function userTable(table: Json | undefined): string | undefined {
  const name = optionalText(table);
  if (name?.startsWith("_")) throw readOnly();
  return name;
}

function transactionOf(frame: Frame): Transaction {
  if (frame.transaction === null) throw new Error("The database can only be used in queries and mutations");
  return frame.transaction;
}

function writable(frame: Frame): Transaction {
  if (frame.kind !== "mutation") throw new UserError("ReadOnly", "A query cannot write");
  return transactionOf(frame);
}

/** Reads of a table that does not exist give nothing. */
function planOf(frame: Frame, args: Args): { query: QueryJson; plan: Plan | undefined } {
  const query = QueryJson.parse(args.query);
  const table = transactionOf(frame).table(frame.component, tableNameOf(query));
  return { query, plan: table === undefined ? undefined : plan(query, table) };
}

function openStream(frame: Frame, args: Args): number {
  const id = frame.nextStreamId++;
  const { plan } = planOf(frame, args);
  if (plan !== undefined) frame.streams.set(id, new QueryStream(plan, transactionOf(frame)));
  return id;
}

function closeStream(frame: Frame, id: number): boolean {
  const stream = frame.streams.get(id);
  stream?.close();
  return frame.streams.delete(id);
}

const PageArgs = z.object({
  cursor: z.string().nullable(),
  endCursor: z.string().nullish(),
  pageSize: z.number().int().positive("The page size must be positive"),
  maximumRowsRead: z.number().int().positive().nullish(),
  maximumBytesRead: z.number().int().positive().nullish(),
});

function queryPage({ cursors }: Deployment, frame: Frame, args: Args): string {
  const { journal } = frame;
  if (frame.component !== "") throw new UserError("InvalidCall", "paginate() is not supported in components");
  if (journal.hasPaginated) {
    throw new UserError("InvalidCall", "A query can call .paginate() only once");
  }
  journal.hasPaginated = true;
  const request = PageArgs.parse(args);
  const { query, plan } = planOf(frame, args);
  if (plan === undefined) {
    return JSON.stringify({
      page: [],
      isDone: true,
      continueCursor: "",
      splitCursor: null,
      pageStatus: null,
    });
  }
  const fingerprint = fingerprintOf(JSON.stringify(query));
  const open = (cursor: string | null | undefined) =>
    cursor === null || cursor === undefined ? null : cursors.open(cursor, fingerprint);
  const page = readPage(
    plan,
    {
      // The cursor of a table that did not exist yet is empty: start again.
      start: request.cursor === "" ? null : open(request.cursor),
      end: open(request.endCursor ?? journal.given),
      pageRows: request.pageSize,
      rowsReadMax: request.maximumRowsRead ?? null,
      bytesReadMax: request.maximumBytesRead ?? null,
    },
    transactionOf(frame),
  );
  const continueCursor = cursors.seal(page.end, fingerprint);
  journal.end = continueCursor;
  const rest = JSON.stringify({
    isDone: page.isDone,
    continueCursor,
    splitCursor: page.split === null ? null : cursors.seal(page.split, fingerprint),
    pageStatus: page.status,
  });
  return `{"page":[${page.documents.join(",")}],${rest.slice(1)}`;
}

function normalizeId(transaction: Transaction, component: string, args: Args): string | null {
  const id = text(args.idString);
  const table = transaction.table(component, text(args.table));
  return table !== undefined && decodeId(id)?.tableNumber === table.number ? id : null;
}

/** The function that a call names: by path, by function handle, later by component reference. */
function addressOf(frame: Frame, args: Args): { component: string; path: string } {
  if (typeof args.name === "string") return { component: frame.component, path: args.name };
  if (typeof args.functionHandle === "string") {
    const handle = /^function:\/\/([^#]*)#(.+)$/.exec(args.functionHandle);
    if (handle === null)
      throw new UserError("InvalidFunctionHandle", `Not a function handle: ${args.functionHandle}`);
    return { component: handle[1] ?? "", path: handle[2] ?? "" };
  }
  throw new UserError(
    "ComponentsNotSupported",
    `Component reference ${String(args.reference)} cannot be resolved`,
  );
}

const callOf = (frame: Frame, args: Args) => ({
  ...addressedCall(frame, args),
  args: args.args ?? {},
  identity: frame.identity,
  metadata: frame.metadata,
  access: "any" as const,
});

function addressedCall(frame: Frame, args: Args) {
  const { component, path } = addressOf(frame, args);
  return { component, target: path };
}

function unwrap(outcome: Awaited<ReturnType<Deployment["runner"]["action"]>>): string {
  if (!outcome.isSuccess) throw toSyscallError(outcome.failure);
  return outcome.value;
}

function schedule(
  { scheduler, components }: Deployment,
  transaction: Transaction,
  frame: Frame,
  args: Args,
): string {
  const { component, path } = addressOf(frame, args);
  const { kind } = resolveFunction(components.get(component)?.modules ?? new Map(), path, false);
  if (kind === "query" || kind === "httpAction") {
    throw new UserError(
      "InvalidSchedule",
      `Only mutations and actions can be scheduled, ${path} is a ${kind}`,
    );
  }
  const dueMs = number(args.ts) * 1000;
  const value = isObject(args.args) ? args.args : {};
  return JSON.stringify(scheduler.schedule(transaction, component, canonicalPath(path), value, dueMs));
}

/** Plain checks: these run for every read and write. */
function text(value: unknown): string {
  if (typeof value === "string") return value;
  throw new UserError("InvalidArgument", `A string is expected, not ${Bun.inspect(value)}`);
}

const optionalText = (value: unknown): string | undefined =>
  value === undefined || value === null ? undefined : text(value);

function number(value: unknown): number {
  if (typeof value === "number") return value;
  throw new UserError("InvalidArgument", `A number is expected, not ${Bun.inspect(value)}`);
}
