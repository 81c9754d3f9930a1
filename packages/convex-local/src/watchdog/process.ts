import { readFileSync } from "node:fs";

/** Linux counts processor time in hundredths of a second, whatever the machine (USER_HZ). */
const TICK_MS = 10;

/** Resident bytes of a process and the processor time of its first thread; null when it is gone. */
export function look(pid: number): { residentBytes: number; cpuMs: number } | null {
  try {
    const residentKib = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
    const stat = readFileSync(`/proc/${pid}/task/${pid}/stat`, "latin1");
    // The name, in brackets, may hold anything: fields are counted after it (proc_pid_stat(5)).
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (residentKib === undefined) return null;
    return {
      residentBytes: Number(residentKib) * 1024,
      cpuMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS,
    };
  } catch (error) {
    if (error instanceof Error && "code" in error) return null;
    throw error;
  }
}
