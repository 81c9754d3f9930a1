/** Who holds a port that we need. */
import { readdir, readFile, readlink } from "node:fs/promises";

/** Whether something listens already, found by trying to. */
export function isFree(port: number, hostname = "127.0.0.1"): boolean {
  try {
    Bun.listen({ hostname, port, socket: { data() {} } }).stop(true);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EADDRINUSE") return false;
    throw error;
  }
}

/** The socket inodes that listen on a port, from /proc/net/tcp: column 2 is `address:PORT` in hex, 0A is LISTEN. */
export function listeningInodes(table: string, port: number): string[] {
  const wanted = port.toString(16).toUpperCase().padStart(4, "0");
  return table.split("\n").flatMap((line) => {
    const columns = line.trim().split(/\s+/);
    return columns[1]?.endsWith(`:${wanted}`) && columns[3] === "0A" && columns[9] ? [columns[9]] : [];
  });
}

/** `nginx (pid 812)`, or undefined where /proc does not tell (other systems, other users' processes). */
export async function holderOf(port: number): Promise<string | undefined> {
  // Absent outside Linux, and other users' processes hide their files: then there is no answer.
  const read = (path: string) => readFile(path, "utf8").catch(() => "");
  const inodes = new Set(
    (await Promise.all(["/proc/net/tcp", "/proc/net/tcp6"].map(read))).flatMap((table) =>
      listeningInodes(table, port),
    ),
  );
  if (inodes.size === 0) return undefined;
  const links = new Set([...inodes].map((inode) => `socket:[${inode}]`));
  for (const pid of (await readdir("/proc").catch(() => [])).filter((name) => /^\d+$/.test(name))) {
    const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
    for (const descriptor of descriptors) {
      const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => "");
      if (!links.has(target)) continue;
      const command = (await read(`/proc/${pid}/cmdline`))
        .split("\0")
        .filter((word) => word !== "")
        .join(" ");
      return `${command.slice(0, 80)} (pid ${pid})`;
    }
  }
  return undefined;
}
