/** The name of this process among the mta processes on one NATS. */
import { readFileSync } from "node:fs";
import { hostname } from "node:os";

/**
 * A name that another process can only have when this one is gone, so that a new one need not wait until the silence of
 * the old one has lasted long enough: the machine (as booted), the host name (of a container) and the port that is bound
 * for health. Where one of them is not known, or several containers share them, the name is a random one, and `MTA_NAME`
 * can give a better one.
 */
export function processName(
  healthPort: number,
  { host = hostname(), bootId = readBootId(), random = (): string => crypto.randomUUID() } = {},
): string {
  if (healthPort === 0 || bootId === undefined || host === "") return `mta-${random().slice(0, 13)}`;
  const hash = new Bun.CryptoHasher("sha256").update(`${bootId} ${host} ${healthPort}`).digest("hex");
  return `${host.toLowerCase().replace(/[^a-z0-9-]/g, "-")}-${healthPort}-${hash.slice(0, 12)}`;
}

/** Linux makes a new one at each boot; elsewhere there is none. */
function readBootId(): string | undefined {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
