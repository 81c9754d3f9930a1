import { rmSync } from "node:fs";

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Removes a half-made file or folder when the person at the keyboard stops the command. Call the result when it is done. */
export function removeOnSignal(path: string): () => void {
  const stop = () => {
    rmSync(path, { recursive: true, force: true });
    process.exit(130);
  };
  for (const name of signals) process.once(name, stop);
  return () => {
    for (const name of signals) process.off(name, stop);
  };
}
