import { accessSync, constants, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { engineEnvironment } from "../config.ts";
import { waitAtMost } from "../deadline.ts";
import type { Door } from "../doors/door.ts";
import { type Board, createBoard, type Doing, openBoard } from "./board.ts";
import { look } from "./process.ts";
import { type EndReason, SAYS, Strikes } from "./strikes.ts";
import { Vigil, type VigilLimits } from "./vigil.ts";

export type KeeperOptions = {
  door: Door;
  field: string;
  origins: { cloudOrigin: string; siteOrigin: string };
  limits: VigilLimits;
  log(event: string, fields: Record<string, unknown>): void;
};

const LOOK_MS = 25;
const READY_MS_MAX = 120_000;
const STOP_MS_MAX = 14_000;
const RESTART_MS_MIN = 100;
const RESTART_MS_MAX = 10_000;
/** An engine that has lived so long did not fail because of how it starts. */
const LIVED_MS = 30_000;
const CODES: Record<EndReason, string> = {
  time: "FunctionTimeout",
  memory: "FunctionOutOfMemory",
  crash: "EngineCrashed",
};

type Engine = { process: Subprocess; board: Board; startedMs: number; isReady: boolean; reason: EndReason };

/** Keeps an engine running behind the door: starts it, watches it, ends it when a call does not let it go on. */
export class Keeper {
  readonly #options: KeeperOptions;
  readonly #strikes = new Strikes();
  readonly #directory = placeForSockets();
  #engine: Engine | null = null;
  #engines = 0;
  #isStopping = false;
  #restartMs = RESTART_MS_MIN;
  #restart: ReturnType<typeof setTimeout> | undefined;
  #ended: Promise<number> = Promise.resolve(0);

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  get engineId(): number | undefined {
    return this.#engine?.process.pid;
  }

  /** Resolves when the first engine is ready. Throws when it ends before: then its settings are wrong. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => this.#launch(resolve, reject));
  }

  /** Lets running requests end. The exit code of the engine. */
  async stop(): Promise<number> {
    try {
      return await this.#stop();
    } finally {
      rmSync(this.#directory, { recursive: true, force: true });
    }
  }

  async #stop(): Promise<number> {
    this.#isStopping = true;
    clearTimeout(this.#restart);
    const engine = this.#engine;
    // Nobody has an answer of an engine that is starting, and it does not listen yet.
    if (engine !== null && !engine.isReady) {
      engine.process.kill("SIGKILL");
      await this.#ended;
      return 0;
    }
    if (engine !== null) {
      engine.process.send("stop");
      await waitAtMost(this.#ended, STOP_MS_MAX);
      if (engine.process.exitCode === null) {
        this.#options.log("engine.stop-failed", { afterMs: STOP_MS_MAX });
        engine.process.kill("SIGKILL");
      }
    }
    return await this.#ended;
  }

  #launch(ready: () => void, failed: (error: Error) => void): void {
    const { door, field, origins, limits, log } = this.#options;
    const number = this.#engines++;
    const place = (name: string) => join(this.#directory, `${number}.${name}`);
    const [apiSocket, siteSocket] = [place("api"), place("site")];
    const boardFile = place("board");
    createBoard(boardFile);
    const board = openBoard(boardFile, { isLast: false });
    const refusals = this.#strikes.refusals(Date.now());
    const process = Bun.spawn(
      [globalThis.process.execPath, "--no-env-file", join(import.meta.dir, "../engine.ts")],
      {
        env: engineEnvironment({ apiSocket, siteSocket, field, boardFile, refusals }, origins),
        stdio: ["ignore", "ignore", "inherit"],
        serialization: "json",
        ipc: (message: unknown) => {
          if (hasEvent(message, "deployed")) this.#strikes.clear();
          if (!hasEvent(message, "ready")) return;
          engine.isReady = true;
          log("engine.started", { afterMs: Math.round(performance.now() - engine.startedMs) });
          door.engineStarted({ apiSocket, siteSocket, arrive: (passage) => board.arrive(passage) });
          ready();
        },
      },
    );
    const engine: Engine = { process, board, startedMs: performance.now(), isReady: false, reason: "crash" };
    this.#engine = engine;
    const watch = this.#watch(engine, new Vigil(limits));
    this.#ended = process.exited;
    process.exited.then((code) => {
      clearInterval(watch);
      this.#engine = null;
      for (const file of [apiSocket, siteSocket, boardFile]) rmSync(file, { force: true });
      if (this.#isStopping) return;
      this.#mourn(engine, code);
      if (!engine.isReady && number === 0) {
        failed(new Error(`The engine ended with ${code} before it was ready`));
        return;
      }
      if (performance.now() - engine.startedMs > LIVED_MS || engine.reason !== "crash")
        this.#restartMs = RESTART_MS_MIN;
      this.#restart = setTimeout(() => this.#launch(ready, failed), this.#restartMs);
      this.#restartMs = Math.min(this.#restartMs * 2, RESTART_MS_MAX);
    });
  }

  #watch({ process, board, startedMs }: Engine, vigil: Vigil): ReturnType<typeof setInterval> {
    return setInterval(() => {
      const engine = this.#engine;
      const seen = look(process.pid);
      if (engine?.process !== process || seen === null) return;
      const nowMs = performance.now();
      const verdict = vigil.judge({ nowMs, beats: board.beats, ...seen });
      const isLate = !engine.isReady && nowMs - startedMs > READY_MS_MAX;
      if (verdict === null && !isLate) return;
      engine.reason = verdict ?? "time";
      process.kill("SIGKILL");
    }, LOOK_MS);
  }

  /** Answers those who waited for the engine, and remembers on whose account it ended. */
  #mourn({ board, reason, startedMs }: Engine, code: number): void {
    const suspects = board.suspects();
    const livedMs = Math.round(performance.now() - startedMs);
    this.#options.log("engine.ended", { reason, code, livedMs, suspects: suspects.map(nameOf) });
    this.#strikes.add(suspects, reason, Date.now());
    const message =
      suspects.length === 1
        ? `${SAYS[reason]}`
        : "The deployment was restarted while this action was running";
    const blamed = new Set(reason === "crash" ? [] : suspects.map(({ passage }) => passage));
    this.#options.door.engineEnded({
      hasBegun: (passage) => board.hasBegun(passage),
      blame: (passage) => (blamed.has(passage) ? { code: CODES[reason], message } : null),
    });
  }
}

/** Memory, where there is such a place: pages of a file on disk may make the engine wait while they are written. */
function memoryDirectory(): string {
  try {
    accessSync("/dev/shm", constants.W_OK);
    return "/dev/shm";
  } catch (error) {
    if (error instanceof Error && "code" in error) return tmpdir();
    throw error;
  }
}

/** A directory for this process. Those of processes that were killed are cleared away. */
function placeForSockets(): string {
  const parent = memoryDirectory();
  for (const name of readdirSync(parent)) {
    const pid = /^convex-door-(\d+)-/.exec(name)?.[1];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    try {
      rmSync(join(parent, name), { recursive: true, force: true });
    } catch (error) {
      // Another user's; it is in nobody's way.
      if (!(error instanceof Error && "code" in error)) throw error;
    }
  }
  return mkdtempSync(join(parent, `convex-door-${process.pid}-`));
}

const nameOf = ({ kind, path }: Doing): string => `${kind} ${path}`;

const hasEvent = (message: unknown, event: string): boolean =>
  typeof message === "object" && message !== null && "event" in message && message.event === event;
