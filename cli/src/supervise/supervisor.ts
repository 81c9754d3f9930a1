/** Keeps programs running: starts them, waits until they are ready, restarts them, stops them in reverse order. */
import type { Environment } from "../places.ts";
import { lines } from "./lines.ts";
import { giveWayAsSession, givingWay } from "./priority.ts";
import { afterEnd } from "./restart.ts";

export type Part = {
  name: string;
  argv: readonly string[];
  env: Environment;
  cwd: string;
  /** Undefined when it can be used, else why not yet. */
  problem(): Promise<string | undefined>;
  readyMsMax: number;
  /** After SIGTERM; then SIGKILL. */
  stopMsMax: number;
  /** Leaves the processor to the others when it is short: what it does may be done a little later. */
  givesWay?: boolean;
};

export type Happening =
  | { kind: "line"; part: string; text: string }
  | { kind: "ended"; part: string; code: number | null; signal: string | null; restartAfterMs: number }
  | { kind: "gave-up"; part: string; why: string }
  | { kind: "stopping"; part: string }
  | { kind: "killed"; part: string; afterMs: number };

export type Ports = {
  nowMs(): number;
  /** Resolves after the time, or at once when the signal fires. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
  report(happening: Happening): void;
  /** Puts a word before the program, so that it ends when this process is killed (Linux: setpriv --pdeathsig). */
  wrap(argv: readonly string[]): string[];
};

export type Keeper = {
  name: string;
  /** Resolves when the part was ready once; rejects when it gave up or took longer than `readyMsMax`. */
  ready: Promise<void>;
  /** The process of this moment. */
  pid(): number | undefined;
  /** Ends the process of this moment as `stop` would; it is started again. */
  restart(): void;
  stop(): Promise<void>;
};

export class NotReady extends Error {
  readonly part: string;
  constructor(part: string, why: string) {
    super(`${part} did not become ready: ${why}`);
    this.name = "NotReady";
    this.part = part;
  }
}

const pollMs = 100;

export function keep(part: Part, ports: Ports): Keeper {
  const stopping = new AbortController();
  const ready = Promise.withResolvers<void>();
  // Whoever starts the part awaits it; a part that gives up later must not end the whole program.
  ready.promise.catch(() => undefined);
  let child: Bun.Subprocess | undefined;
  let wasReady = false;

  const awaitReady = async (signal: AbortSignal) => {
    const untilMs = ports.nowMs() + part.readyMsMax;
    let problem: string | undefined = "it did not answer";
    while (!signal.aborted && ports.nowMs() < untilMs) {
      problem = await part.problem().catch((error: unknown) => String(error));
      if (problem === undefined) {
        wasReady = true;
        ready.resolve();
        return;
      }
      await ports.wait(pollMs, signal);
    }
    if (!signal.aborted && !wasReady) ready.reject(new NotReady(part.name, problem ?? "it did not answer"));
  };

  const life = (async () => {
    let failures = 0;
    while (!stopping.signal.aborted) {
      const startedMs = ports.nowMs();
      const ended = new AbortController();
      try {
        child = start(part, ports);
      } catch (error) {
        // The program is not there or may not be run; trying again would not change that.
        ports.report({ kind: "gave-up", part: part.name, why: String(error) });
        ready.reject(new NotReady(part.name, String(error)));
        return;
      }
      const watching = awaitReady(AbortSignal.any([ended.signal, stopping.signal]));
      await child.exited;
      const { exitCode: code, signalCode: signal } = child;
      child = undefined;
      ended.abort();
      await watching;
      if (stopping.signal.aborted) return;
      const decision = afterEnd({ code, livedMs: ports.nowMs() - startedMs, failures, wasReady });
      if (decision.kind === "give-up") {
        ports.report({ kind: "gave-up", part: part.name, why: decision.why });
        ready.reject(new NotReady(part.name, decision.why));
        return;
      }
      failures = decision.failures;
      ports.report({
        kind: "ended",
        part: part.name,
        code,
        signal: signal === null ? null : String(signal),
        restartAfterMs: decision.afterMs,
      });
      await ports.wait(decision.afterMs, stopping.signal);
    }
  })();

  return {
    name: part.name,
    ready: ready.promise,
    pid: () => child?.pid,
    restart: () => child?.kill("SIGTERM"),
    async stop() {
      if (child) ports.report({ kind: "stopping", part: part.name });
      stopping.abort();
      child?.kill("SIGTERM");
      const finished = new AbortController();
      const late = ports.wait(part.stopMsMax, finished.signal).then(() => {
        if (!child || finished.signal.aborted) return;
        ports.report({ kind: "killed", part: part.name, afterMs: part.stopMsMax });
        child.kill("SIGKILL");
      });
      await life;
      finished.abort();
      await late;
      ready.reject(new NotReady(part.name, "it was stopped"));
    },
  };
}

function start(part: Part, ports: Ports): Bun.Subprocess {
  const child = Bun.spawn(ports.wrap(part.givesWay ? givingWay(part.argv) : part.argv), {
    cwd: part.cwd,
    env: part.env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    // A session of its own: Ctrl-C reaches tyto alone, which then stops the parts in order.
    detached: true,
  });
  if (part.givesWay) void giveWayAsSession(child.pid, Bun.sleep);
  const relay = async (stream: ReadableStream<Uint8Array>) => {
    for await (const text of lines(stream)) ports.report({ kind: "line", part: part.name, text });
  };
  // A pipe that breaks with its process says nothing that the exit code does not say.
  void relay(child.stdout).catch(() => undefined);
  void relay(child.stderr).catch(() => undefined);
  return child;
}

/** Stops tiers from last to first; the parts of one tier together. */
export async function stopInReverse(tiers: readonly (readonly Keeper[])[]): Promise<void> {
  for (const tier of [...tiers].reverse()) await Promise.all(tier.map((keeper) => keeper.stop()));
}

export const systemPorts = (wrap: Ports["wrap"], report: Ports["report"]): Ports => ({
  nowMs: () => performance.now(),
  wait: (ms, signal) =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const timer = setTimeout(done, ms);
      signal.addEventListener("abort", done, { once: true });
      function done() {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      }
    }),
  report,
  wrap,
});
