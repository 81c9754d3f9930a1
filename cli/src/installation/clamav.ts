/** Configuration of clamd and freshclam for an installation. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Larger than the largest message that the gateway takes. */
const streamBytesMax = 50 * 1024 * 1024;

/** Writes clamd.conf into the data folder; clamd reloads by itself when the signatures change. */
export async function writeClamdConfig(dataDir: string, port: number, signatures: string): Promise<string> {
  const directory = join(dataDir, "clamav");
  await mkdir(join(directory, "tmp"), { recursive: true });
  const path = join(directory, "clamd.conf");
  const lines = [
    "Foreground yes",
    "TCPAddr 127.0.0.1",
    `TCPSocket ${port}`,
    `DatabaseDirectory ${signatures}`,
    `TemporaryDirectory ${join(directory, "tmp")}`,
    `StreamMaxLength ${streamBytesMax}`,
    `MaxScanSize ${streamBytesMax * 4}`,
    `MaxFileSize ${streamBytesMax}`,
    "MaxThreads 4",
    "SelfCheck 600",
    // A reload beside the running database doubles its gigabyte of memory.
    "ConcurrentDatabaseReload no",
    "ExitOnOOM yes",
  ];
  await writeFile(path, `${lines.join("\n")}\n`);
  return path;
}
