import type { Environment } from "../places.ts";
import { Failures, readTally, type Tally } from "./tally.ts";

/** Not how long a unit test takes, but how long one may hang: a busy processor runs several at once. */
export const unitTestMsMax = 180_000;
/** The end of a run's output is enough for its summary. */
const keptCharsMax = 65_536;

/** Runs `bun test` on files, shows its output as it comes, and counts. `failures` are the ends of what failed, as told. */
export async function runBunTest(
  root: string,
  files: readonly string[],
  options: { env: Environment; flags: readonly string[]; quiet?: boolean },
): Promise<Tally & { output: string; failures: string[] }> {
  const child = Bun.spawn([process.execPath, "test", ...options.flags, ...files.map((file) => `./${file}`)], {
    cwd: root,
    env: { ...options.env, ...(process.stdout.isTTY ? { FORCE_COLOR: "1" } : {}) },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  let kept = "";
  const failures = new Failures();
  const relay = async (stream: ReadableStream<Uint8Array>) => {
    const decoder = new TextDecoder();
    for await (const bytes of stream) {
      if (!options.quiet) process.stdout.write(bytes);
      const text = decoder.decode(bytes, { stream: true });
      failures.add(text);
      kept = (kept + text).slice(-keptCharsMax);
    }
  };
  const [exitCode] = await Promise.all([child.exited, relay(child.stdout), relay(child.stderr)]);
  return { ...readTally(kept, exitCode), output: kept, failures: failures.found };
}
