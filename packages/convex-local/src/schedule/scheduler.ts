import { waitAtMost } from "../deadline.ts";
import type { Deployment } from "../deployment.ts";
import { UserError } from "../functions/errors.ts";
import type { RequestMetadata } from "../functions/frame.ts";
import { FUNCTION_ARGS_BYTES_MAX, SCHEDULED_ARGS_BYTES_MAX, VALUE_DEPTH_MAX } from "../functions/limits.ts";
import { pathWithExtension, resolveFunction } from "../functions/module.ts";
import type { Transaction } from "../functions/transaction.ts";
import type { JobRow } from "../store/tables.ts";
import { textHoldsCommitTs } from "../values/commit-ts.ts";
import { InvalidValue, measure } from "../values/measure.ts";
import type { JsonObject } from "../values/wire.ts";
import { Jobs } from "./jobs.ts";

export const JOBS_TABLE = "_scheduled_functions";

/** As many jobs run at once, when the deployment does not say otherwise. */
export const JOBS_RUNNING_MAX = 16;
const JOB_RETENTION_MS = 7 * 24 * 3600_000;
const DELAY_MS_MAX = 5 * 365 * 24 * 3600_000;
/** Node timers hold 32 bits; a later job is looked at again after this. */
const SLEEP_MS_MAX = 24 * 3600_000;
const EXPIRED_PER_SWEEP_MAX = 1000;
const RETRY_MS = 1000;
/** Far more than ever ran at once, so that a lower limit leaves nothing behind. */
const INTERRUPTED_MAX = 10_000;
const STOP_MS_MAX = 10_000;

type Target = { component: string; path: string };
type State = { kind: "pending" | "inProgress" | "success" | "canceled" } | { kind: "failed"; error: string };

/**
 * Runs functions at their time. Jobs are rows, so they outlive the process. A mutation and the end of its job
 * are one transaction, so it takes effect exactly once; an action is marked before it starts, so it runs at
 * most once.
 */
export class Scheduler {
  readonly #deployment: Deployment;
  readonly #jobs: Jobs;
  readonly #running = new Map<string, Promise<void>>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isStarted = false;
  #isWaking = false;
  readonly #runningMax: number;
  /** Told when a job has been scheduled for good, with its time. */
  onScheduled: ((dueMs: number) => void) | null = null;

  constructor(deployment: Deployment, runningMax: number) {
    this.#deployment = deployment;
    this.#runningMax = runningMax;
    this.#jobs = new Jobs(deployment.store);
  }

  /** The document of the job belongs to `component`, which may schedule functions of others. */
  schedule(
    transaction: Transaction,
    component: string,
    target: Target,
    args: JsonObject,
    dueMs: number,
    parentId: string | null = null,
  ): string {
    const { now, store } = this.#deployment;
    const text = JSON.stringify(args);
    if (textHoldsCommitTs(text)) {
      throw new UserError(
        "InvalidArguments",
        "Invalid arguments: a commit timestamp is not known before the commit",
      );
    }
    const bytes = sizeOf(args);
    if (bytes > Math.min(SCHEDULED_ARGS_BYTES_MAX, FUNCTION_ARGS_BYTES_MAX)) {
      throw new UserError(
        "ArgumentsTooLarge",
        `Scheduled arguments are larger than ${SCHEDULED_ARGS_BYTES_MAX} bytes`,
      );
    }
    if (!(Math.abs(dueMs - now()) <= DELAY_MS_MAX)) {
      const where = dueMs < now() ? "past" : "future";
      throw new UserError(
        "InvalidSchedule",
        `A function cannot be scheduled more than 5 years in the ${where}`,
      );
    }
    transaction.usage.add("functionsScheduled", 1);
    transaction.usage.add("scheduledFunctionArgsBytes", bytes);
    const table = transaction.table(component, JOBS_TABLE) ?? store.createTable(component, JOBS_TABLE);
    const id = transaction.insertInto(table, component, {
      name: pathWithExtension(target.path),
      args: [args],
      scheduledTime: dueMs,
      state: { kind: "pending" },
    });
    this.#jobs.add({
      id,
      component,
      target: target.component,
      path: target.path,
      args: text,
      dueMs,
      state: "pending",
    });
    // A job has its row until it ends: without one, the function that schedules this has been canceled.
    if (parentId !== null && this.#jobs.find(parentId) === undefined) {
      this.cancel(transaction, component, id);
      return id;
    }
    transaction.afterCommit(() => {
      this.onScheduled?.(dueMs);
      this.#wakeSoon();
    });
    return id;
  }

  /** Cancels what has not started; a running action goes on, but what it schedules from now on does not run. */
  cancel(transaction: Transaction, component: string, id: string): void {
    if (transaction.tableOfId(component, id, JOBS_TABLE, "cancel") === undefined) return;
    transaction.open();
    const job = this.#jobs.find(id);
    if (job !== undefined) this.#end(transaction, job, { kind: "canceled" });
  }

  /** Starts the timer. Actions that a crash interrupted have failed: nobody knows how far they came. */
  async start(): Promise<void> {
    await this.#deployment.runner.transact((transaction) => {
      for (const job of this.#jobs.inProgress(INTERRUPTED_MAX)) {
        this.#end(transaction, job, { kind: "failed", error: "The action was interrupted by a restart" });
      }
    });
    this.#isStarted = true;
    this.wake();
  }

  /** Takes no new jobs and waits a while for the running ones; an action that goes on counts as interrupted. */
  async stop(): Promise<void> {
    this.#isStarted = false;
    clearTimeout(this.#timer);
    await waitAtMost(this.settle(), STOP_MS_MAX);
  }

  /** Wakes once, however many jobs a transaction has scheduled. */
  #wakeSoon(): void {
    if (this.#isWaking) return;
    this.#isWaking = true;
    queueMicrotask(() => {
      this.#isWaking = false;
      this.wake();
    });
  }

  wake(): void {
    if (!this.#isStarted) return;
    clearTimeout(this.#timer);
    this.startDue();
    const next = this.nextDueMs();
    if (next === undefined || this.#running.size >= this.#runningMax) return; // Each end wakes again.
    const delayMs = Math.min(Math.max(next - this.#deployment.now(), 0), SLEEP_MS_MAX);
    this.#timer = setTimeout(() => this.wake(), delayMs);
  }

  /** When the next pending job is due, those already running not counted. */
  nextDueMs(): number | undefined {
    const pending = this.#jobs.pending(Number.MAX_SAFE_INTEGER, this.#runningMax + 1);
    return pending.find(({ id }) => !this.#running.has(id))?.dueMs;
  }

  /** Starts what is due, as far as there are free places. */
  startDue(): void {
    for (const job of this.#jobs.pending(this.#deployment.now(), 2 * this.#runningMax)) {
      if (this.#running.size >= this.#runningMax) return;
      if (this.#running.has(job.id)) continue;
      const run = this.#run(job).then(
        () => {
          this.#running.delete(job.id);
          this.wake();
        },
        (error: unknown) => {
          // Not the function's failure but ours, such as a full queue: the job is still there, look again soon.
          this.#deployment.log("scheduler.failed", { path: job.path, error });
          this.#running.delete(job.id);
          if (this.#isStarted) this.#timer = setTimeout(() => this.wake(), RETRY_MS);
        },
      );
      this.#running.set(job.id, run);
    }
  }

  get isBusy(): boolean {
    return this.#running.size > 0;
  }

  /** Waits for the jobs that are running now. */
  async settle(): Promise<void> {
    await Promise.all(this.#running.values());
  }

  /** Removes the documents of jobs that ended long ago. */
  async sweep(): Promise<void> {
    const { runner, now } = this.#deployment;
    for (let removed = EXPIRED_PER_SWEEP_MAX; removed >= EXPIRED_PER_SWEEP_MAX; ) {
      removed = await runner.transact((transaction) => {
        const expired = this.#jobs.endedBefore(now() - JOB_RETENTION_MS, EXPIRED_PER_SWEEP_MAX);
        for (const id of expired) this.#forget(transaction, id);
        return expired.length;
      });
    }
  }

  #forget(transaction: Transaction, id: string): void {
    transaction.open();
    this.#jobs.forget(id);
    for (const component of this.#deployment.components.keys()) {
      const table = this.#deployment.store.table(component, JOBS_TABLE);
      if (table !== undefined && transaction.get(component, id, undefined, true) !== null) {
        transaction.remove(component, id, JOBS_TABLE);
      }
    }
  }

  async #run(job: JobRow): Promise<void> {
    const { components, runner } = this.#deployment;
    const kind = this.#kindOf(job, components.get(job.target)?.modules ?? new Map());
    if (kind === "mutation") return await this.#runMutation(job);

    const isMine = await runner.transact((transaction) => {
      if (this.#jobs.find(job.id)?.state !== "pending") return false;
      transaction.open();
      this.#jobs.markInProgress(job.id);
      transaction.patch(job.component, job.id, { state: { kind: "inProgress" } }, JOBS_TABLE);
      return true;
    });
    if (!isMine) return;
    const outcome = await runner.action(this.#call(job));
    await runner.transact((transaction) => {
      if (this.#jobs.find(job.id) === undefined) return; // Canceled meanwhile.
      this.#end(transaction, job, outcome.isSuccess ? { kind: "success" } : failed(outcome.failure));
    });
  }

  async #runMutation(job: JobRow): Promise<void> {
    const { executor, runner } = this.#deployment;
    await executor.join(async () => {
      if (this.#jobs.find(job.id)?.state !== "pending") return;
      const outcome = await runner.mutationNow(this.#call(job), (transaction) => {
        // A mutation may have canceled itself.
        if (this.#jobs.find(job.id) !== undefined) this.#end(transaction, job, { kind: "success" });
      });
      if (outcome.isSuccess) return;
      runner.transactNow((transaction) => this.#end(transaction, job, failed(outcome.failure)));
    });
  }

  /** An unknown function is run as a mutation, whose failure says that it is not there. */
  #kindOf(job: JobRow, modules: Parameters<typeof resolveFunction>[0]): "mutation" | "action" {
    try {
      return resolveFunction(modules, job.path, false).kind === "action" ? "action" : "mutation";
    } catch (error) {
      if (error instanceof UserError) return "mutation";
      throw error;
    }
  }

  #call(job: JobRow) {
    const metadata: RequestMetadata = {
      requestId: job.id,
      ip: null,
      userAgent: null,
      scheduledFunctionId: job.id,
      authToken: null,
    };
    return {
      component: job.target,
      target: job.path,
      args: JSON.parse(job.args) as JsonObject,
      identity: null,
      metadata,
      access: "any" as const,
    };
  }

  #end(transaction: Transaction, job: JobRow, state: State): void {
    const { now } = this.#deployment;
    transaction.open();
    this.#jobs.end(job.id, now());
    transaction.patch(job.component, job.id, { state, completedTime: now() }, JOBS_TABLE);
  }
}

function sizeOf(args: JsonObject): number {
  try {
    return measure(args, VALUE_DEPTH_MAX);
  } catch (error) {
    if (error instanceof InvalidValue)
      throw new UserError("InvalidArguments", `Invalid arguments: ${error.message}`);
    throw error;
  }
}

const failed = (failure: { message: string }): State => ({ kind: "failed", error: failure.message });
