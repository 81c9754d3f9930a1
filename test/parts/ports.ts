import { mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const triesMax = 1_000;
/** Below the ports that the kernel gives to connections, which would take one before its server listens. */
const firstPort = 12_000;
const lastPort = 31_999;
/** Longer than any server takes until it listens. */
const takenMsMax = 300_000;
/** Another user could not write into ours. */
const folder = join(tmpdir(), `tyto-test-ports-${process.getuid?.() ?? 0}`);

/**
 * A port that is free, and that no other test gets until this process is over, so that two that run side by side never meet.
 * Servers that can take port 0 should; this is for those that cannot.
 */
export async function freePort(): Promise<number> {
  mkdirSync(folder, { recursive: true });
  for (let tries = 0; tries < triesMax; tries++) {
    const port = firstPort + Math.floor(Math.random() * (lastPort - firstPort + 1));
    if (take(port) && (await isFree(port))) return port;
  }
  throw new Error(`no free port from ${firstPort} to ${lastPort} in ${triesMax} tries`);
}

const taken: string[] = [];

function take(port: number): boolean {
  const path = join(folder, String(port));
  try {
    writeFileSync(path, String(process.pid), { flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    // What a killed run left behind goes, for the next time.
    const { mtimeMs } = statSync(path, { throwIfNoEntry: false }) ?? { mtimeMs: Date.now() };
    if (Date.now() - mtimeMs > takenMsMax) rmSync(path, { force: true });
    return false;
  }
  if (taken.length === 0) process.once("exit", giveBack);
  taken.push(path);
  return true;
}

function giveBack(): void {
  for (const path of taken) rmSync(path, { force: true });
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", (error: NodeJS.ErrnoException) =>
      error.code === "EADDRINUSE" ? resolve(false) : reject(error),
    );
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
