import type { Environment } from "./places.ts";

export type Outcome = { code: number; stdout: string; stderr: string };

export type RunOptions = {
  cwd?: string;
  env?: Environment;
  input?: string;
  timeoutMs?: number;
  signal?: AbortSignal;
};

const runMsMax = 600_000;

/** Runs a program to its end and keeps what it printed. Never throws for a failing program: look at `code`. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const child = Bun.spawn([...argv], {
    stdin: options.input === undefined ? "ignore" : new Blob([options.input]),
    stdout: "pipe",
    stderr: "pipe",
    timeout: options.timeoutMs ?? runMsMax,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    ...(options.env === undefined ? {} : { env: options.env }),
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, stdout, stderr };
}

/** The last lines of what a failed program said, for an error message. */
export function lastLines(outcome: Outcome, linesMax = 12): string {
  const text = `${outcome.stdout}\n${outcome.stderr}`.trim();
  return text.split("\n").slice(-linesMax).join("\n");
}
