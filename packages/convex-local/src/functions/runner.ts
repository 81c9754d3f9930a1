import type { Identity } from "../auth/identity.ts";
import { ROOT } from "../components/component.ts";
import type { Address } from "../components/reference.ts";
import type { Deployment } from "../deployment.ts";
import type { Read } from "../live/read-set.ts";
import { isSystemQuery, runSystemQuery } from "../system/queries.ts";
import { textHoldsCommitTs, textWithCommitTs } from "../values/commit-ts.ts";
import { InvalidValue, isPlainlySmall, measure } from "../values/measure.ts";
import { mismatch } from "../values/validator.ts";
import { isObject, type Json, kindOf } from "../values/wire.ts";
import { LeashEnd, onLeash } from "../watchdog/leash.ts";
import { UserError } from "./errors.ts";
import { Slots } from "./executor.ts";
import { type FunctionFailure, toFailure, toSyscallError } from "./failure.ts";
import {
  currentFrame,
  type Frame,
  type FunctionKind,
  goOnInFrame,
  type RequestMetadata,
  randomOf,
  runInFrame,
} from "./frame.ts";
import {
  FUNCTION_ARGS_BYTES_MAX,
  FUNCTION_RESULT_BYTES_MAX,
  NESTED_CALLS_MAX,
  NODE_ARGS_BYTES_MAX,
  nearLimit,
  type TransactionLimits,
  VALUE_DEPTH_MAX,
} from "./limits.ts";
import {
  canonicalPath,
  describeFunction,
  type FunctionObject,
  type Resolved,
  resolveFunction,
} from "./module.ts";
import { timers } from "./sandbox.ts";
import { idsOf } from "./schema.ts";
import { Transaction } from "./transaction.ts";

/** A call of a function from outside, or from an action. */
export type Call = {
  component: string;
  /** A path, or the function itself when a test runs one inline. */
  target: string | FunctionObject;
  args: Json;
  identity: Identity | null;
  metadata: RequestMetadata;
  /** Internal functions are hidden from the public. */
  access: "public" | "any";
  /** The newest durable timestamp when the call came in: what has become durable since was under way beside it. */
  arrivedTs?: number;
  /** Limits other than the official ones, for tests. */
  limits?: Partial<TransactionLimits>;
};

export type HttpCall = Omit<Call, "target" | "args">;

export type Outcome =
  | { isSuccess: true; value: string; logLines: string[] }
  | { isSuccess: false; failure: FunctionFailure; logLines: string[] };
export type QueryOutcome = Outcome & { reads: Read[]; journal: string | null; ts: number };
export type MutationOutcome = Outcome & { ts: number };

const ACTION_MS_MAX = 30 * 60_000;
/** Of actions in files that begin with "use node". */
const NODE_ACTION_MS_MAX = 10 * 60_000;
/** Half of what the official backend allows: everybody else has waited so long. */
const SLOW_MS_MAX = 500;
const ACTIONS_RUNNING_MAX = 256;
const ACTIONS_WAITING_MAX = 2000;

/** Runs functions: finds them, checks arguments and results, wraps them in a transaction. */
export class Runner {
  readonly #deployment: Deployment;
  readonly #transactionMsMax: number;
  readonly #leashMsMax: number;
  readonly #actions = new Slots(ACTIONS_RUNNING_MAX, ACTIONS_WAITING_MAX);

  /**
   * A query or mutation that awaits something is given up after `transactionMsMax`; one that computes all the time,
   * while nobody else gets on, after `leashMsMax`.
   */
  constructor(deployment: Deployment, transactionMsMax: number, leashMsMax: number) {
    this.#deployment = deployment;
    this.#transactionMsMax = transactionMsMax;
    this.#leashMsMax = leashMsMax;
  }

  query(call: Call, journal: string | null = null): Promise<QueryOutcome> {
    return this.#deployment.executor.join(() => this.queryNow(call, journal));
  }

  /** Runs a query on the data of an older moment, which `history` must have. */
  queryAt(call: Call, ts: number): Promise<QueryOutcome> {
    return this.#deployment.executor.run(() =>
      this.queryNow(call, null, (transaction) => this.#deployment.history.rewind(transaction, ts)),
    );
  }

  /** Runs a query inside an executor slot that the caller holds; `prepare` may change what it will see. */
  async queryNow(
    call: Call,
    journal: string | null,
    prepare?: (transaction: Transaction) => void,
  ): Promise<QueryOutcome> {
    const { store } = this.#deployment;
    const transaction = this.#begin(call.limits);
    prepare?.(transaction);
    const frame = this.#frame("query", call, transaction, journal);
    const outcome = await this.#outcome(frame, call, "query");
    // A query writes nothing, but a table created by accident of a bug must not stay.
    transaction.rollback();
    return { ...outcome, reads: transaction.reads.reads, journal: frame.journal.end, ts: store.newestTs };
  }

  /**
   * Runs a mutation. `beforeCommit` writes what must stand or fall with it: the outcome of a WebSocket request,
   * the end of a scheduled job.
   */
  mutation(
    call: Call,
    beforeCommit?: (transaction: Transaction, value: string) => void,
  ): Promise<MutationOutcome> {
    const arrived = { ...call, arrivedTs: this.#deployment.store.ts };
    return this.#deployment.executor.join(() => this.mutationNow(arrived, beforeCommit));
  }

  /** Runs a mutation inside an executor slot that the caller holds. */
  async mutationNow(
    call: Call,
    beforeCommit?: (transaction: Transaction, value: string) => void,
  ): Promise<MutationOutcome> {
    for (let attempt = 1; ; attempt++) {
      const transaction = this.#begin(call.limits);
      const frame = this.#frame("mutation", call, transaction, null);
      const outcome = await this.#outcome(frame, call, "mutation");
      if (!outcome.isSuccess) {
        transaction.rollback();
        return { ...outcome, ts: this.#deployment.store.newestTs };
      }
      if (typeof call.target === "string" && this.#deployment.retries.isToRunAgain(attempt)) {
        transaction.rollback();
        continue;
      }
      try {
        beforeCommit?.(transaction, outcome.value);
        const ts = this.#commitMutation(transaction, frame.path, call.arrivedTs);
        return { ...outcome, value: textWithCommitTs(outcome.value, ts), ts };
      } catch (error) {
        transaction.rollback();
        throw error;
      }
    }
  }

  /** A change that the engine itself makes, as one transaction. */
  transact<T>(work: (transaction: Transaction) => T): Promise<T> {
    return this.#deployment.executor.join(async () => this.transactNow(work));
  }

  transactNow<T>(work: (transaction: Transaction) => T): T {
    const transaction = this.#begin();
    try {
      const result = work(transaction);
      this.#commit(transaction);
      return result;
    } catch (error) {
      transaction.rollback();
      throw error;
    }
  }

  /** Runs an action, when there is a free place for it. */
  action(call: Call): Promise<Outcome> {
    return this.#actions.run(() => this.nestedAction(call));
  }

  /** An action called by an action: it shares the place of its caller, so that they cannot wait for each other. */
  async nestedAction(call: Call): Promise<Outcome> {
    const frame = this.#frame("action", call, null, null);
    return await this.#outcome(frame, call, "action");
  }

  /** Runs an HTTP action; what it throws is thrown as FunctionFailure. */
  httpAction(object: FunctionObject, path: string, request: Request, call: HttpCall): Promise<Response> {
    return this.#actions.run(() => this.#httpActionNow(object, path, request, call));
  }

  async #httpActionNow(
    object: FunctionObject,
    path: string,
    request: Request,
    call: HttpCall,
  ): Promise<Response> {
    const frame = this.#frame("httpAction", { ...call, target: path }, null, null);
    let ended: (() => void) | undefined;
    try {
      ended = this.#deployment.guard.begin("httpAction", call.component, path, null, call.metadata);
      const response = await this.#withTimeLimit(
        frame,
        Math.max(ACTION_MS_MAX, this.#transactionMsMax),
        async () => object.invokeHttpAction?.(request),
      );
      if (!(response instanceof Response)) {
        throw new UserError("InvalidHttpActionResult", "An HTTP action must return a Response");
      }
      return response;
    } catch (error) {
      throw this.#reported(frame, error);
    } finally {
      ended?.();
      this.#deployment.logs.append(frame, null);
    }
  }

  /** A call from inside a query or mutation: same transaction; a mutation that throws leaves nothing behind. */
  async nested(
    frame: Frame,
    kind: "query" | "mutation",
    { component, path, access }: Address,
    args: Json,
    limits: Partial<TransactionLimits> = {},
  ): Promise<string> {
    const { transaction } = frame;
    if (transaction === null) throw new Error("Nested calls belong to queries and mutations");
    if (kind === "mutation" && frame.kind === "query") {
      throw new UserError("InvalidCall", "A query cannot run a mutation");
    }
    if (frame.depth >= NESTED_CALLS_MAX) {
      throw new UserError("NestedTooDeep", `Functions are nested more than ${NESTED_CALLS_MAX} levels deep`);
    }
    const resolved = this.#resolve(component, path, access, kind);
    const inner: Frame = {
      ...this.#frame(kind, { ...frame, component, target: resolved.path }, transaction, null),
      depth: frame.depth + 1,
      operations: 0,
      // One stream of randomness and of log lines for the whole transaction.
      random: randomOf(frame),
      logLines: frame.logLines,
    };
    if (kind === "mutation") {
      const savepoint = transaction.savepoint(limits);
      try {
        const value = await this.#invoke(inner, resolved, args, this.#transactionMsMax);
        transaction.release(savepoint);
        return value;
      } catch (error) {
        frame.refusal ??= inner.refusal;
        transaction.rollbackTo(savepoint);
        throw toSyscallError(toFailure(error));
      }
    }
    const mark = transaction.usage.enter(limits);
    try {
      return await this.#invoke(inner, resolved, args, this.#transactionMsMax);
    } catch (error) {
      frame.refusal ??= inner.refusal;
      throw toSyscallError(toFailure(error));
    } finally {
      transaction.usage.leave(mark, false);
    }
  }

  #begin(limits?: Partial<TransactionLimits>): Transaction {
    const { store, components, now } = this.#deployment;
    return new Transaction(store, (component) => components.get(component)?.schema ?? null, now(), limits);
  }

  #commitMutation(transaction: Transaction, path: string, arrivedTs: number | undefined): number {
    const { contention, writeRate, now } = this.#deployment;
    if (!transaction.hasWritten) return this.#commit(transaction);
    writeRate.take(transaction.usage.used.bytesWritten, now());
    if (arrivedTs !== undefined) contention.look(path, arrivedTs, transaction.reads.reads);
    const ts = this.#commit(transaction);
    contention.committed(ts, path, transaction.writes);
    return ts;
  }

  #commit(transaction: Transaction): number {
    const { live, history, store, now } = this.#deployment;
    return transaction.commit(now(), (writes) => {
      live.invalidate(writes);
      history.record(store.ts, writes);
    });
  }

  #frame(
    kind: FunctionKind,
    call: Pick<Call, "component" | "target" | "identity" | "metadata">,
    transaction: Transaction | null,
    journal: string | null,
  ): Frame {
    return {
      host: this.#deployment.syscalls,
      kind,
      component: call.component,
      path: typeof call.target === "string" ? call.target : "inline",
      // Who calls is the business of the app; components are told what they need.
      identity: call.component === ROOT ? call.identity : null,
      metadata: call.metadata,
      environment: this.#deployment.environment.visible(call.component),
      nowMs: transaction?.nowMs ?? this.#deployment.now(),
      clock: this.#deployment.clock,
      random: null,
      transaction,
      journal: { given: journal, end: null, hasPaginated: false },
      logLines: [],
      streams: new Map(),
      nextStreamId: 0,
      child: null,
      depth: 0,
      operations: 0,
      refusal: null,
      isClosed: false,
    };
  }

  async #outcome(frame: Frame, call: Call, kind: FunctionKind): Promise<Outcome> {
    const startMs = performance.now();
    const startCpu = kind === "action" ? undefined : process.threadCpuUsage();
    const { transaction } = frame;
    let outcome: Outcome;
    let ended: (() => void) | undefined;
    try {
      if (
        transaction !== null &&
        typeof call.target === "string" &&
        isSystemQuery(call.target) &&
        call.access === "any"
      ) {
        const path = canonicalPath(call.target);
        const value = runSystemQuery(this.#deployment, transaction, path, call.component, call.args);
        return { isSuccess: true, value, logLines: [] };
      }
      const resolved =
        typeof call.target === "string"
          ? this.#resolve(call.component, call.target, call.access, kind)
          : describeFunction("inline", call.target);
      frame.path = resolved.path;
      ended = this.#deployment.guard.begin(kind, call.component, frame.path, call.args, call.metadata);
      const actionMsMax = this.#isForNode(call.component, frame.path) ? NODE_ACTION_MS_MAX : ACTION_MS_MAX;
      const limitMs =
        kind === "action" ? Math.max(actionMsMax, this.#transactionMsMax) : this.#transactionMsMax;
      const value = await this.#invoke(frame, resolved, call.args, limitMs);
      if (kind === "query" && textHoldsCommitTs(value)) {
        throw new UserError(
          "InvalidReturnValue",
          `Function ${frame.path} return value invalid: a commit timestamp is only known to the mutation that commits it`,
        );
      }
      outcome = { isSuccess: true, value, logLines: frame.logLines };
    } catch (error) {
      outcome = { isSuccess: false, failure: this.#reported(frame, error), logLines: frame.logLines };
    } finally {
      ended?.();
    }
    const wallMs = performance.now() - startMs;
    if (startCpu !== undefined && wallMs > SLOW_MS_MAX) {
      const { user, system } = process.threadCpuUsage(startCpu);
      const cpuMs = Math.round((user + system) / 1000);
      this.#deployment.log("function.slow", { path: frame.path, kind, wallMs: Math.round(wallMs), cpuMs });
    }
    this.#deployment.logs.append(frame, outcome, wallMs);
    return outcome;
  }

  #reported(frame: Frame, error: unknown): FunctionFailure {
    const failure = toFailure(error);
    // Data and refusals are answers to the caller; anything else is a bug worth a line in the log.
    if (failure.data === undefined && !(failure.cause instanceof UserError)) {
      this.#deployment.log("function.failed", { path: frame.path, kind: frame.kind, error: failure.cause });
    }
    return failure;
  }

  #resolve(component: string, path: string, access: Call["access"], kind: FunctionKind): Resolved {
    const modules = this.#deployment.components.get(component)?.modules ?? new Map();
    const resolved = resolveFunction(modules, path, access === "public");
    if (resolved.kind !== kind) {
      const [file = "", name = ""] = resolved.path.split(":");
      throw new UserError(
        "FunctionNotFound",
        `Trying to execute ${file}.js:${name} as ${KINDS[kind]}, but it is defined as ${KINDS[resolved.kind]}.`,
      );
    }
    return resolved;
  }

  #isForNode(component: string, path: string): boolean {
    const { nodeModules } = this.#deployment.components.get(component) ?? {};
    if (nodeModules === undefined || nodeModules.size === 0) return false;
    return nodeModules.has(path.slice(0, path.indexOf(":")));
  }

  async #invoke(frame: Frame, resolved: Resolved, args: Json, limitMs: number): Promise<string> {
    const { transaction } = frame;
    const isId = idsOf(this.#deployment.store, frame.component);
    if (!isObject(args) || kindOf(args) !== "object") {
      throw new UserError("ArgumentValidationError", "The arguments of a function must be one object");
    }
    const what = frame.kind === "action" ? "action" : "function";
    const argsBytes = sizeOf(args, "ArgumentValidationError");
    const argsBytesMax = this.#isForNode(frame.component, resolved.path)
      ? NODE_ARGS_BYTES_MAX
      : FUNCTION_ARGS_BYTES_MAX;
    if (argsBytes > argsBytesMax) {
      throw new UserError(
        "TooLargeFunctionArguments",
        `The ${what} arguments are too large (actual: ${argsBytes} bytes, limit: ${argsBytesMax} bytes)`,
      );
    }
    const wrongArgs = mismatch(resolved.args, args, isId);
    if (wrongArgs !== null) throw new UserError("ArgumentValidationError", wrongArgs);

    const value = await this.#withTimeLimit(frame, limitMs, () =>
      call(resolved, frame.metadata.requestId, args),
    );
    if (frame.refusal !== null) throw frame.refusal;
    const resultBytes = isPlainlySmall(value, VALUE_DEPTH_MAX)
      ? 0
      : sizeOf(JSON.parse(value) as Json, "InvalidReturnValue");
    if (resultBytes > FUNCTION_RESULT_BYTES_MAX) {
      throw new UserError(
        "TooLargeFunctionResult",
        `Function ${frame.path} return value is too large (actual: ${resultBytes} bytes, limit: ${FUNCTION_RESULT_BYTES_MAX} bytes)`,
      );
    }
    if (frame.depth === 0) {
      const warnings = [
        nearLimit(`Large size of the ${what} arguments`, argsBytes, argsBytesMax, " bytes"),
        ...(transaction?.warnings() ?? []),
        nearLimit(`Large size of the ${what} return value`, resultBytes, FUNCTION_RESULT_BYTES_MAX, " bytes"),
      ];
      for (const warning of warnings) if (warning !== undefined) frame.logLines.push(warning);
    }
    if (resolved.returns !== null) {
      const wrongReturn = mismatch(resolved.returns, JSON.parse(value) as Json, isId);
      if (wrongReturn !== null) throw new UserError("ReturnsValidationError", wrongReturn);
    }
    return value;
  }

  /** Runs work in the frame, and closes the frame whatever happens. */
  async #withTimeLimit<T>(frame: Frame, limitMs: number, work: () => Promise<T>): Promise<T> {
    let timer: ReturnType<typeof timers.setTimeout> | undefined;
    try {
      const running = this.#start(frame, work);
      // Most queries and mutations are over by now and need no timer.
      if (Bun.peek.status(running) !== "pending" || limitMs === Number.POSITIVE_INFINITY)
        return await running;
      const tooLong = new Promise<never>((_, reject) => {
        timer = timers.setTimeout(() => reject(timeout(limitMs)), limitMs);
      });
      return await Promise.race([running, tooLong]);
    } finally {
      timers.clearTimeout(timer);
      // The response of an HTTP action may be a stream that the function goes on writing.
      frame.isClosed = frame.kind !== "httpAction";
      for (const stream of frame.streams.values()) stream.close();
      frame.streams.clear();
    }
  }

  /** Queries and mutations may not keep the engine from everything else, so they start on a leash. */
  #start<T>(frame: Frame, work: () => Promise<T>): Promise<T> {
    if (frame.transaction === null || frame.depth > 0) return runInFrame(frame, work);
    const outer = currentFrame();
    try {
      return onLeash(this.#leashMsMax, () => runInFrame(frame, work));
    } catch (error) {
      if (!(error instanceof LeashEnd)) throw error;
      // It has ended without leaving its frame.
      goOnInFrame(outer);
      throw timeout(this.#leashMsMax);
    }
  }
}

const timeout = (msMax: number) =>
  new UserError("FunctionTimeout", `Function execution timed out (maximum ${msMax} ms)`);

const KINDS = { query: "Query", mutation: "Mutation", action: "Action", httpAction: "HttpAction" } as const;

function call({ kind, path, object }: Resolved, requestId: string, args: Json): Promise<string> {
  const text = JSON.stringify([args]);
  const result =
    kind === "query"
      ? object.invokeQuery?.(text)
      : kind === "mutation"
        ? object.invokeMutation?.(text)
        : object.invokeAction?.(requestId, text);
  return result ?? Promise.reject(new Error(`${path} cannot be called as a ${kind}`));
}

function sizeOf(value: Json, code: string): number {
  try {
    return measure(value, VALUE_DEPTH_MAX);
  } catch (error) {
    if (error instanceof InvalidValue) throw new UserError(code, error.message);
    throw error;
  }
}
