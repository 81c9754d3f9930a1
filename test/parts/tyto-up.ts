import { join } from "node:path";
import { until } from "./until.ts";

export type RunningProcess = { pid: number; command: string };

/** How the command line of each part is recognised. */
const parts = {
  gateway: /services\/gateway\/src\/main\.ts/,
  scanner: /services\/scanner\/src\/main\.ts/,
  mta: /services\/mta\/src\/main\.ts/,
  bounce: /services\/bounce\/src\/main\.ts/,
  recorder: /services\/recorder\/src\/main\.ts/,
  "nats-server": /nats-server/,
  "convex-local": /packages\/convex-local\/src\/main\.ts/,
  clamd: /clamd/,
} as const;
export type Part = keyof typeof parts;

const startMsMax = 240_000;
const outputCharactersMax = 2_000_000;
const root = join(import.meta.dir, "../..");

/** `tyto up` as a process of its own, and all processes that it runs. */
export class TytoUp {
  readonly #environment: Record<string, string | undefined>;
  readonly #readyUrl: string;
  #printed = "";
  #process: Bun.Subprocess | undefined;

  constructor(environment: Record<string, string | undefined>, readyUrl: string) {
    this.#environment = environment;
    this.#readyUrl = readyUrl;
  }

  /** Resolves when it is ready; throws with what was printed when it is not. */
  async start(): Promise<void> {
    const child = Bun.spawn([process.execPath, "cli/src/main.ts", "up"], {
      cwd: root,
      env: this.#environment,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.#process = child;
    void this.#keep(child.stdout);
    void this.#keep(child.stderr);
    await until("the installation is ready", () => this.#isReady(child), {
      withinMs: startMsMax,
      everyMs: 100,
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${this.#printed.slice(-6_000)}`);
    });
  }

  async end(): Promise<void> {
    this.#process?.kill("SIGTERM");
    await this.#process?.exited;
  }

  /** What it has printed. */
  output(): string {
    return this.#printed;
  }

  /** Itself, and what descends from it. */
  processes(): RunningProcess[] {
    const rows = listProcesses();
    const within = new Set([this.#process?.pid ?? -1]);
    for (let grew = true; grew; ) {
      grew = false;
      for (const row of rows)
        if (within.has(row.parent) && !within.has(row.pid)) {
          within.add(row.pid);
          grew = true;
        }
    }
    return rows.filter((row) => within.has(row.pid)).map(({ pid, command }) => ({ pid, command }));
  }

  process(part: Part): RunningProcess | undefined {
    return this.processes().find(
      ({ command }) => parts[part].test(command) && !/\bup\b.*cli|cli\/src\/main\.ts/.test(command),
    );
  }

  async #isReady(child: Bun.Subprocess): Promise<boolean> {
    if (child.exitCode !== null)
      throw new Error(`tyto up ended with ${child.exitCode}:\n${this.#printed.slice(-4_000)}`);
    if (!/Tyto is (up|ready|running)/i.test(this.#printed)) return false;
    const answer = await fetch(this.#readyUrl).catch(() => undefined);
    return answer?.status === 200;
  }

  async #keep(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream)
      this.#printed = (this.#printed + decoder.decode(chunk, { stream: true })).slice(-outputCharactersMax);
  }
}

function listProcesses(): (RunningProcess & { parent: number })[] {
  const listing = Bun.spawnSync(["ps", "-eo", "pid=,ppid=,args="]).stdout.toString().split("\n");
  return listing.flatMap((line) => {
    const match = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line);
    return match ? [{ pid: Number(match[1]), parent: Number(match[2]), command: match[3] ?? "" }] : [];
  });
}
