import { Cron } from "croner";
import { and, eq, lte } from "drizzle-orm";
import { z } from "zod";
import type { Deployment } from "../deployment.ts";
import { canonicalPath } from "../functions/module.ts";
import type { Transaction } from "../functions/transaction.ts";
import { CronRow, crons, jobs } from "../store/tables.ts";
import type { JsonObject } from "../values/wire.ts";

const Hour = z.number().int().min(0).max(23);
const Minute = z.number().int().min(0).max(59).default(0);
const DAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"] as const;

/** A schedule as `crons.ts` exports it; all times are UTC. */
const Schedule = z.union([
  z.object({ type: z.literal("interval"), seconds: z.number().int().positive() }),
  z.object({ type: z.literal("interval"), minutes: z.number().int().positive() }),
  z.object({ type: z.literal("interval"), hours: z.number().int().positive() }),
  z.object({ type: z.literal("hourly"), minuteUTC: Minute }),
  z.object({ type: z.literal("daily"), hourUTC: Hour, minuteUTC: Minute }),
  z.object({ type: z.literal("weekly"), dayOfWeek: z.enum(DAYS), hourUTC: Hour, minuteUTC: Minute }),
  z.object({
    type: z.literal("monthly"),
    day: z.number().int().min(1).max(31),
    hourUTC: Hour,
    minuteUTC: Minute,
  }),
  z.object({
    type: z.literal("cron"),
    cron: z.string().refine(isPattern, "must be five fields: minute, hour, day of month, month, day of week"),
  }),
]);
type Schedule = z.infer<typeof Schedule>;

export const CronSpec = z.object({ name: z.string(), args: z.array(z.json()), schedule: Schedule });
export type CronSpec = z.infer<typeof CronSpec>;

/** When a schedule is due next after a time, both in milliseconds since 1970. */
export function nextRunMs(schedule: Schedule, afterMs: number): number {
  switch (schedule.type) {
    case "interval": {
      const seconds =
        "seconds" in schedule
          ? schedule.seconds
          : "minutes" in schedule
            ? schedule.minutes * 60
            : schedule.hours * 3600;
      return afterMs + seconds * 1000;
    }
    case "hourly":
      return nextOf(`${schedule.minuteUTC} * * * *`, afterMs);
    case "daily":
      return nextOf(`${schedule.minuteUTC} ${schedule.hourUTC} * * *`, afterMs);
    case "weekly":
      return nextOf(
        `${schedule.minuteUTC} ${schedule.hourUTC} * * ${DAYS.indexOf(schedule.dayOfWeek)}`,
        afterMs,
      );
    case "monthly":
      return nextOf(`${schedule.minuteUTC} ${schedule.hourUTC} ${schedule.day} * *`, afterMs);
    case "cron":
      return nextOf(schedule.cron, afterMs);
  }
}

/** Intervals begin when they are deployed, everything else at its time. */
export const firstRunMs = (schedule: Schedule, deployedMs: number): number =>
  schedule.type === "interval" ? deployedMs : nextRunMs(schedule, deployedMs);

/** The run after the one that was due: intervals keep their beat; what was missed is skipped. */
export function followingRunMs(schedule: Schedule, dueMs: number, nowMs: number): number {
  if (schedule.type !== "interval") return nextRunMs(schedule, nowMs);
  const intervalMs = nextRunMs(schedule, 0);
  return dueMs + intervalMs * (Math.floor(Math.max(nowMs - dueMs, 0) / intervalMs) + 1);
}

/** Unix patterns have five fields; croner would take seconds and years too. */
function isPattern(pattern: string): boolean {
  if (pattern.trim().split(/\s+/).length !== 5) return false;
  try {
    return new Cron(pattern, { timezone: "UTC", paused: true }).nextRun() !== null;
  } catch (error) {
    // croner says what is wrong with a field; here only whether something is.
    if (error instanceof Error) return false;
    throw error;
  }
}

function nextOf(pattern: string, afterMs: number): number {
  const next = new Cron(pattern, { timezone: "UTC", paused: true }).nextRun(new Date(afterMs));
  if (next === null) throw new Error(`The cron pattern ${JSON.stringify(pattern)} never comes`);
  return next.getTime();
}

const SLEEP_MS_MAX = 3600_000;

/**
 * Starts the jobs of `crons.ts`. The next time is a row; advancing it and queueing the run are one transaction,
 * so no run is doubled. Runs that were missed while the process was down are skipped, and a run is skipped too
 * while the one before is still going.
 */
export class Crons {
  readonly #deployment: Deployment;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isStarted = false;

  constructor(deployment: Deployment) {
    this.#deployment = deployment;
  }

  /** Makes the stored jobs those of a push; unchanged ones keep their next time. */
  replace(transaction: Transaction, component: string, specs: Record<string, CronSpec>): CronDiff {
    const { store, now } = this.#deployment;
    transaction.open();
    const diff: CronDiff = { added: [], updated: [], deleted: [] };
    const stored = new Map(this.#rows(eq(crons.component, component)).map((row) => [row.name, row]));
    for (const [name, spec] of Object.entries(specs)) {
      const text = JSON.stringify(spec);
      const before = stored.get(name);
      stored.delete(name);
      if (before?.spec === text) continue;
      (before === undefined ? diff.added : diff.updated).push(name);
      const row = { component, name, spec: text, nextMs: firstRunMs(spec.schedule, now()), lastJob: null };
      store.sql.orm
        .insert(crons)
        .values(row)
        .onConflictDoUpdate({ target: [crons.component, crons.name], set: row })
        .run();
    }
    for (const name of stored.keys()) {
      diff.deleted.push(name);
      store.sql.orm
        .delete(crons)
        .where(and(eq(crons.component, component), eq(crons.name, name)))
        .run();
    }
    transaction.afterCommit(() => this.wake());
    return diff;
  }

  start(): void {
    this.#isStarted = true;
    this.wake();
  }

  stop(): void {
    this.#isStarted = false;
    clearTimeout(this.#timer);
  }

  wake(): void {
    if (!this.#isStarted) return;
    clearTimeout(this.#timer);
    const next = Math.min(...this.#rows(undefined).map(({ nextMs }) => nextMs));
    if (next === Number.POSITIVE_INFINITY) return;
    const delayMs = Math.min(Math.max(next - this.#deployment.now(), 0), SLEEP_MS_MAX);
    this.#timer = setTimeout(() => {
      this.runDue()
        .catch((error: unknown) => this.#deployment.log("crons.failed", { error }))
        .finally(() => this.wake());
    }, delayMs);
  }

  /** Queues every job whose time has come. */
  async runDue(): Promise<void> {
    const { runner, scheduler, store, now } = this.#deployment;
    await runner.transact((transaction) => {
      for (const row of this.#rows(lte(crons.nextMs, now()))) {
        const spec = CronSpec.parse(JSON.parse(row.spec));
        transaction.open();
        const isStillGoing =
          row.lastJob !== null &&
          store.sql.orm.select().from(jobs).where(eq(jobs.id, row.lastJob)).get() !== undefined;
        const lastJob = isStillGoing
          ? row.lastJob
          : scheduler.schedule(
              transaction,
              row.component,
              { component: row.component, path: canonicalPath(spec.name) },
              (spec.args[0] ?? {}) as JsonObject,
              row.nextMs,
            );
        store.sql.orm
          .update(crons)
          .set({ nextMs: followingRunMs(spec.schedule, row.nextMs, now()), lastJob })
          .where(and(eq(crons.component, row.component), eq(crons.name, row.name)))
          .run();
      }
    });
  }

  #rows(where: ReturnType<typeof eq> | undefined): CronRow[] {
    return this.#deployment.store.sql.orm
      .select()
      .from(crons)
      .where(where)
      .orderBy(crons.name)
      .all()
      .map((row) => CronRow.parse(row));
  }
}

export type CronDiff = { added: string[]; updated: string[]; deleted: string[] };
