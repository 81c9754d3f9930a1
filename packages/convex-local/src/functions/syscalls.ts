import { z } from "zod";
import { type Address, addressOf, handleOf } from "../components/reference.ts";
import type { Deployment } from "../deployment.ts";
import { fingerprintOf } from "../query/cursor.ts";
import { readPage } from "../query/page.ts";
import { type Plan, parseQuery, plan, type QueryJson, tableNameOf } from "../query/plan.ts";
import { QueryStream } from "../query/stream.ts";
import { decodeId } from "../values/id.ts";
import { isObject, type Json, writeInt64 } from "../values/wire.ts";
import { vectorSearch } from "../vector/vector-search.ts";
import { UserError } from "./errors.ts";
import { toSyscallError } from "./failure.ts";
import type { Frame, Host } from "./frame.ts";
import { CONCURRENT_OPERATIONS_MAX, type TransactionLimits } from "./limits.ts";
import { canonicalPath, functionObject, resolveFunction } from "./module.ts";
import type { Call } from "./runner.ts";
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
      case "1.0/componentArgument": {
        const value = deployment.components.get(frame.component)?.args?.[text(args.name)];
        return value === undefined ? {} : { value };
      }
      default:
        throw new Error(`Unknown operation ${op}`);
    }
  }

  /** Most operations of queries and mutations are over at once, and wait for nothing. */
  asyncSyscall(frame: Frame, op: string, args: Args): Promise<string> {
    const { transaction, child } = frame;
    const handlers = transaction === null ? inActions : inTransactions;
    const handler = handlers[op] ?? everywhere[op];
    try {
      if (handler === undefined) throw new Error(`Unknown async operation ${op}`);
      if (transaction === null || child !== null) return this.#counted(handler, frame, op, args);
      if (frame.isClosed) throw new Error(`The function ${frame.path} has already ended`);
      const answer = handler(this.#deployment, frame, args);
      return typeof answer === "string" ? Promise.resolve(answer) : this.#answered(op, answer);
    } catch (error) {
      return Promise.reject(forFunction(op, error));
    }
  }

  async #answered(op: string, answer: Promise<string>): Promise<string> {
    try {
      return await answer;
    } catch (error) {
      throw forFunction(op, error);
    }
  }

  async #counted(handler: Handler, frame: Frame, op: string, args: Args): Promise<string> {
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

  async jsSyscall(frame: Frame, op: string, args: Record<string, unknown>): Promise<unknown> {
    try {
      return await this.#jsSyscallNow(frame, op, args);
    } catch (error) {
      throw forFunction(op, error);
    }
  }

  #jsSyscallNow(frame: Frame, op: string, args: Record<string, unknown>): Promise<unknown> {
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
    return `{"_id":"${id}"}`; // Ids are letters and digits.
  },
  // The client gives the caller nothing of what these three answer, and would parse it all the same.
  "1.0/shallowMerge": (_, frame, { id, table, value }) => {
    writable(frame).patch(frame.component, text(id), asDocument(value, "patch"), userTable(table));
    return "null";
  },
  "1.0/replace": (_, frame, { id, table, value }) => {
    writable(frame).replace(frame.component, text(id), asDocument(value, "replace"), userTable(table));
    return "null";
  },
  "1.0/remove": (_, frame, { id, table }) => {
    writable(frame).remove(frame.component, text(id), userTable(table));
    return "null";
  },

  "1.0/runUdf": async (deployment, frame, args) => {
    const transaction = transactionOf(frame);
    const kind = args.udfType === "mutation" ? "mutation" : "query";
    const address = addressIn(deployment, frame, args);
    const run = () => deployment.runner.nested(frame, kind, address, args.args ?? {}, limitsOf(args));
    const isStale = args.udfType === "snapshotQuery";
    if (isStale && frame.kind !== "mutation") {
      throw new UserError("InvalidCall", "`useStaleSnapshot` is only supported in mutations, not queries.");
    }
    const running = isStale ? onSnapshot(transaction, run) : run();
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
    const transaction = writable(frame);
    transaction.usage.add("filesWritten", 1);
    transaction.usage.add("fileWriteBytes", bytes.byteLength);
    const file = files.prepare(
      bytes,
      type === undefined || type === "" ? null : type,
      optionalText(sha256) ?? null,
    );
    return JSON.stringify(files.add(transaction, frame.component, file));
  },
  "1.0/storageGet": async ({ files }, frame, { storageId }) => {
    const { usage } = writable(frame);
    const blob = files.blob(transactionOf(frame), frame.component, text(storageId));
    if (blob === null) return "null";
    usage.add("filesRead", 1);
    usage.add("fileReadBytes", blob.size);
    const bytes = Buffer.from(await blob.arrayBuffer());
    return JSON.stringify({
      blob: bytes.toString("base64"),
      contentType: blob.type === "" ? null : blob.type,
    });
  },

  "1.0/signJwt": ({ signing, siteOrigin }, frame, { claims, expiresInSeconds }) => {
    writable(frame);
    return JSON.stringify(signing.sign(siteOrigin(), { claims, expiresInSeconds }, frame.nowMs));
  },

  "1.0/getTransactionMetrics": (_, frame) => JSON.stringify(transactionOf(frame).usage.metrics()),
};

/** Actions and HTTP actions: every step is a transaction of its own. */
const inActions: Record<string, Handler> = {
  "1.0/actions/query": async (deployment, frame, args) =>
    unwrap(await deployment.runner.query(callOf(deployment, frame, args))),
  "1.0/actions/mutation": async (deployment, frame, args) =>
    unwrap(await deployment.runner.mutation(callOf(deployment, frame, args))),
  "1.0/actions/action": async (deployment, frame, args) =>
    unwrap(await deployment.runner.nestedAction(callOf(deployment, frame, args))),

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
  "1.0/actions/vectorSearch": ({ runner }, frame, { query }) =>
    runner.transact((transaction) =>
      JSON.stringify({ results: vectorSearch(transaction, frame.component, query) }),
    ),
};

/** Answers that do not depend on the kind of function. */
const everywhere: Record<string, Handler> = {
  "1.0/getUserIdentity": (_, frame) => JSON.stringify(frame.identity),
  "1.0/storageGenerateUploadUrl": ({ files }, frame) =>
    JSON.stringify(files.uploadUrl(frame.component, frame.nowMs)),
  "1.0/createFunctionHandle": (deployment, frame, args) => {
    const address = addressIn(deployment, frame, args);
    return JSON.stringify(handleOf(address.component, resolveIn(deployment, address).path));
  },
  "1.0/getFunctionMetadata": (_, frame) =>
    JSON.stringify({ name: frame.path, componentPath: frame.component }),
  "1.0/getDeploymentMetadata": ({ instanceName }) =>
    JSON.stringify({ name: instanceName, region: null, class: "s16" }),
  "1.0/auditLog": ({ log }, frame, { body }) => {
    log("function.audit", { path: frame.path, body: withVariables(body ?? null, frame) });
    return "null";
  },
  "1.0/getRequestMetadata": (_, frame) => JSON.stringify(frame.metadata),
};

/**
 * Runs a query on the state before the mutation. What it reads is not part of what the mutation has read: it
 * does not mind if that changes.
 */
async function onSnapshot(transaction: Transaction, run: () => Promise<string>): Promise<string> {
  const { reads } = transaction.reads;
  const readBefore = reads.length;
  const hidden = transaction.hasWritten ? transaction.hideWrites() : undefined;
  try {
    return await run();
  } finally {
    if (hidden !== undefined) transaction.rollbackTo(hidden);
    reads.length = readBefore;
  }
}

const RequestedLimits = z.record(z.string(), z.number().nonnegative().optional()).nullish();

/** The limits that a nested call asks for; unknown ones are newer than this engine. */
function limitsOf(args: Args): Partial<TransactionLimits> {
  return (RequestedLimits.parse(args.transactionLimits) ?? {}) as Partial<TransactionLimits>;
}

/** The body of an audit entry, in which `{"$var": "ip"}` and its like stand for what only the engine knows. */
function withVariables(body: Json, frame: Frame): Json {
  if (Array.isArray(body)) return body.map((member) => withVariables(member, frame));
  if (!isObject(body)) return body;
  const { requestId, ip, userAgent } = frame.metadata;
  const known: Record<string, Json> = { requestId, ip, userAgent, now: frame.nowMs };
  if (typeof body.$var === "string") return known[body.$var] ?? null;
  return Object.fromEntries(
    Object.entries(body).map(([name, member]) => [name, withVariables(member, frame)]),
  );
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
  const query = parseQuery(args.query);
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
    throw new UserError(
      "InvalidCall",
      "This query or mutation function ran multiple paginated queries. Convex only supports a single paginated query in each function.",
    );
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

const addressIn = ({ components }: Deployment, frame: Frame, args: Args): Address =>
  addressOf(frame.component, args, (component) => components.has(component));

const resolveIn = ({ components }: Deployment, { component, path, access }: Address) =>
  resolveFunction(components.get(component)?.modules ?? new Map(), path, access === "public");

function callOf(deployment: Deployment, frame: Frame, args: Args): Call {
  const { component, path, access } = addressIn(deployment, frame, args);
  const { identity, metadata } = frame;
  return { component, target: path, args: args.args ?? {}, identity, metadata, access };
}

function unwrap(outcome: Awaited<ReturnType<Deployment["runner"]["action"]>>): string {
  if (!outcome.isSuccess) throw toSyscallError(outcome.failure);
  return outcome.value;
}

function schedule(deployment: Deployment, transaction: Transaction, frame: Frame, args: Args): string {
  const address = addressIn(deployment, frame, args);
  const modules = deployment.components.get(address.component)?.modules;
  const [file = "", name = ""] = canonicalPath(address.path).split(":");
  if (modules?.get(file) === undefined) {
    throw new UserError("InvalidSchedule", `Attempted to schedule function at nonexistent path: ${file}`);
  }
  if (functionObject(modules.get(file)?.[name]) === undefined) {
    throw new UserError(
      "InvalidSchedule",
      `Attempted to schedule function, but no exported function ${name} found in the file: ${file}. Did you forget to export it?`,
    );
  }
  const { kind, path } = resolveIn(deployment, address);
  if (kind === "query" || kind === "httpAction") {
    throw new UserError(
      "InvalidSchedule",
      `Only mutations and actions can be scheduled, ${path} is a ${kind}`,
    );
  }
  const dueMs = number(args.ts) * 1000;
  const value = isObject(args.args) ? args.args : {};
  const target = { component: address.component, path };
  const parentId = frame.metadata.scheduledFunctionId;
  const id = deployment.scheduler.schedule(transaction, frame.component, target, value, dueMs, parentId);
  return JSON.stringify(id);
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
