import { join } from "node:path";
import { Signing } from "./auth/signing.ts";
import { Tokens } from "./auth/tokens.ts";
import { type Component, emptyComponent, ROOT } from "./components/component.ts";
import { blobsInDirectory, blobsInMemory } from "./files/blobs.ts";
import { FILES_TABLE, Files } from "./files/files.ts";
import { Contention } from "./functions/contention.ts";
import { type Changes, Environment } from "./functions/environment.ts";
import { Executor } from "./functions/executor.ts";
import { Logs } from "./functions/logs.ts";
import { Retries } from "./functions/retries.ts";
import { Runner } from "./functions/runner.ts";
import { installSandbox } from "./functions/sandbox.ts";
import { Syscalls } from "./functions/syscalls.ts";
import { WriteRate } from "./functions/write-rate.ts";
import { History } from "./live/history.ts";
import { Live } from "./live/live.ts";
import { Pushes } from "./push/push.ts";
import { Cursors } from "./query/cursor.ts";
import { Crons } from "./schedule/crons.ts";
import { JOBS_RUNNING_MAX, JOBS_TABLE, Scheduler } from "./schedule/scheduler.ts";
import { openDatabase, type Synchronous } from "./store/database.ts";
import { Store } from "./store/store.ts";
import { Exports } from "./transfer/export.ts";
import { Imports } from "./transfer/import.ts";
import { Snapshots } from "./transfer/snapshot.ts";
import { type Guard, NO_GUARD } from "./watchdog/guard.ts";

export type DeploymentOptions = {
  /** null keeps everything in memory. */
  dataDir: string | null;
  synchronous: Synchronous;
  instanceName: string;
  instanceSecret: string;
  /** A query or mutation that awaits something that never comes is given up after this; 10 s by default. */
  transactionMsMax?: number;
  /** A query or mutation that computes without end is stopped after this; 5 s by default. */
  leashMsMax?: number;
  /** Looks on as functions begin and end; nobody by default. */
  guard?: Guard;
  /** Scheduled functions that may run at once; 16 by default. */
  jobsRunningMax?: number;
  /** Bytes that mutations may write within a second before they get TooManyWrites; any number by default. */
  writeBytesPerSecondMax?: number;
  /** Share of mutations that are rolled back and run again, as when they conflict; none by default. */
  retryPercent?: number;
  /** Milliseconds since 1970, fractions welcome. */
  now: () => number;
  /** Whether `now` is a clock of its own, which actions are to see instead of that of the process. */
  hasOwnClock?: boolean;
  /** One structured line per thing that happened. */
  log: (event: string, fields: Record<string, unknown>) => void;
};

export { ROOT };

const TRANSACTION_MS_MAX = 10_000;
/** Room for a mutation that uses all limits of reading and writing on a slow machine; officially it is 1 s. */
export const LEASH_MS_MAX = 5000;
const SWEEP_MS = 3600_000;

/** One Convex deployment: the store, the functions, and everything that runs them. */
export class Deployment {
  readonly store: Store;
  /** What is installed, by path; the app is always there. */
  readonly components = new Map<string, Component>([[ROOT, emptyComponent(ROOT)]]);
  readonly executor: Executor;
  readonly live: Live;
  readonly history: History;
  readonly guard: Guard;
  readonly runner: Runner;
  readonly syscalls: Syscalls;
  readonly scheduler: Scheduler;
  readonly crons: Crons;
  readonly tokens: Tokens;
  readonly signing: Signing;
  readonly pushes: Pushes;
  readonly files: Files;
  readonly environment: Environment;
  readonly cursors: Cursors;
  readonly logs: Logs;
  readonly snapshots: Snapshots;
  readonly exports: Exports;
  readonly imports: Imports;
  readonly retries: Retries;
  readonly writeRate: WriteRate;
  readonly contention: Contention;
  readonly instanceName: string;
  readonly now: () => number;
  readonly clock: (() => number) | null;
  readonly log: DeploymentOptions["log"];
  #cloudOrigin = "http://127.0.0.1";
  #siteOrigin = "http://127.0.0.1";
  #sweeps: ReturnType<typeof setInterval> | undefined;

  constructor(options: DeploymentOptions) {
    installSandbox();
    this.now = options.now;
    this.clock = options.hasOwnClock === true ? options.now : null;
    this.log = options.log;
    this.instanceName = options.instanceName;
    this.store = new Store(openDatabase(options.dataDir, options.synchronous), options.now(), (error) =>
      options.log("commit.followup-failed", { error }),
    );
    this.executor = new Executor(options.dataDir === null ? null : this.store.batch);
    for (const name of [JOBS_TABLE, FILES_TABLE]) {
      if (this.store.table(ROOT, name) === undefined) this.store.createTable(ROOT, name);
    }
    this.retries = new Retries(options.retryPercent ?? 0);
    this.writeRate = new WriteRate(options.writeBytesPerSecondMax ?? 0);
    this.contention = new Contention(options.now, (conflict) => {
      const documents = conflict.documents.map((id) => this.store.describeId(id));
      this.log("mutations.would-conflict", { ...conflict, documents });
    });
    this.live = new Live(this);
    this.history = new History(this.store, options.now);
    this.guard = options.guard ?? NO_GUARD;
    this.runner = new Runner(
      this,
      options.transactionMsMax ?? TRANSACTION_MS_MAX,
      options.leashMsMax ?? LEASH_MS_MAX,
    );
    this.syscalls = new Syscalls(this);
    this.scheduler = new Scheduler(this, options.jobsRunningMax ?? JOBS_RUNNING_MAX);
    this.crons = new Crons(this);
    this.signing = new Signing(options.instanceSecret);
    this.tokens = new Tokens(options.now);
    this.pushes = new Pushes(this, options.dataDir);
    this.cursors = new Cursors(options.instanceSecret);
    this.logs = new Logs(options.now());
    this.environment = new Environment(this.store, () => ({
      CONVEX_CLOUD_URL: this.#cloudOrigin,
      CONVEX_SITE_URL: this.#siteOrigin,
    }));
    const blobs =
      options.dataDir === null ? blobsInMemory() : blobsInDirectory(join(options.dataDir, "storage"));
    this.files = new Files(this, blobs, options.instanceSecret);
    this.files.sweep();
    this.snapshots = new Snapshots(this, options.dataDir);
    this.exports = new Exports(this);
    this.imports = new Imports(this);
  }

  /** Where clients reach the deployment; known once the ports are. */
  setOrigins(cloud: string, site: string): void {
    this.#cloudOrigin = cloud;
    this.#siteOrigin = site;
  }

  /** Where HTTP actions are reached; also the issuer of tokens that functions sign. */
  readonly siteOrigin = (): string => this.#siteOrigin;

  cloudOrigin(): string {
    return this.#cloudOrigin;
  }

  /** Loads the stored code and begins to run scheduled functions. */
  async start(): Promise<void> {
    await this.pushes.restore().catch((error: unknown) => this.log("bundle.failed", { error }));
    await this.scheduler.start();
    this.crons.start();
    const sweep = () =>
      this.scheduler.sweep().catch((error: unknown) => this.log("scheduler.sweep-failed", { error }));
    await sweep();
    this.#sweeps = setInterval(sweep, SWEEP_MS);
  }

  /** Changes environment variables, and loads the code again, which may have read them. */
  async updateEnvironment(changes: Changes): Promise<void> {
    await this.executor.run(async () => {
      this.environment.update(changes);
      await this.pushes.reload();
    });
    this.live.invalidateAll();
  }

  /** Waits for what is running, then closes the database. */
  async stop(): Promise<void> {
    clearInterval(this.#sweeps);
    this.crons.stop();
    await this.scheduler.stop();
    await this.executor.idle();
    this.pushes.stop();
    this.snapshots.clear();
    this.store.close();
  }
}
