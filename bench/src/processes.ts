/** What a tree of processes costs, read from /proc (Linux). */
import { readdir, readFile } from "node:fs/promises";

const ticksPerS = 100;

type Row = { pid: number; parent: number; cpuS: number; startedAt: number };

async function table(): Promise<Map<number, Row>> {
  const rows = new Map<number, Row>();
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  for (const pid of pids) {
    // A process may end between the listing and the reading; then it costs nothing any more.
    const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
    if (stat === undefined) continue;
    const fields = stat
      .slice(stat.lastIndexOf(")") + 2)
      .split(" ")
      .map(Number);
    // proc(5): 4 ppid; 14–17 utime, stime, cutime, cstime (children that were waited for); 22 starttime.
    const ticks = [11, 12, 13, 14].reduce((sum, index) => sum + (fields[index] ?? 0), 0);
    rows.set(Number(pid), {
      pid: Number(pid),
      parent: fields[1] ?? 0,
      cpuS: ticks / ticksPerS,
      startedAt: fields[19] ?? 0,
    });
  }
  return rows;
}

/** The roots and all that descends from them. */
async function treesOf(roots: readonly number[]): Promise<Row[]> {
  return within(await table(), roots);
}

function within(rows: Map<number, Row>, roots: readonly number[]): Row[] {
  const found = new Set(roots);
  // Parents have smaller start times than their children, so one pass in that order finds every descendant.
  for (const row of [...rows.values()].toSorted((a, b) => a.startedAt - b.startedAt || a.pid - b.pid))
    if (found.has(row.parent)) found.add(row.pid);
  return [...rows.values()].filter((row) => found.has(row.pid));
}

export async function cpuSeconds(roots: readonly number[]): Promise<number> {
  return (await treesOf(roots)).reduce((sum, row) => sum + row.cpuS, 0);
}

/** CPU seconds of each process and its children by a name for it, for a look at where they go. */
export async function cpuByName(
  processes: readonly { pid: number; name: string }[],
): Promise<Record<string, number>> {
  const sums: Record<string, number> = {};
  for (const { pid, name } of processes) sums[name] = await cpuSeconds([pid]);
  return sums;
}

/** Proportional set size of the trees in MB: shared pages are counted once. */
export const memoryMb = async (roots: readonly number[]): Promise<number> =>
  proportionalMb(await treesOf(roots));

async function proportionalMb(rows: readonly Row[]): Promise<number> {
  let kb = 0;
  for (const { pid } of rows) {
    const rollup = await readFile(`/proc/${pid}/smaps_rollup`, "utf8").catch(() => "");
    kb += Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0);
  }
  return Math.round(kb / 1024);
}

/** To ask a process for its memory holds it up and takes milliseconds: once a second, that was a twelfth of two cores. */
const sampleMs = 4_000;

/** Samples the memory of the trees until stopped; gives the peak. */
export function watchMemory(
  roots: readonly number[],
  everyMs = sampleMs,
): { peakMb(): number; stop(): void } {
  let peak = 0;
  const timer = setInterval(async () => {
    peak = Math.max(peak, await memoryMb(roots));
  }, everyMs);
  return { peakMb: () => peak, stop: () => clearInterval(timer) };
}

/**
 * Samples the memory of each named process and its children until stopped. `find` is asked each time: processes are
 * started anew. `peaksMb` gives the peaks since it was asked last.
 */
export function watchMemoryByName(
  find: () => readonly { pid: number; name: string }[],
  everyMs = sampleMs,
): { peaksMb(): Record<string, number>; stop(): void } {
  let peaks: Record<string, number> = {};
  let isSampling = false;
  const sample = async () => {
    const rows = await table();
    for (const { pid, name } of find())
      peaks[name] = Math.max(peaks[name] ?? 0, await proportionalMb(within(rows, [pid])));
  };
  const timer = setInterval(async () => {
    if (isSampling) return;
    isSampling = true;
    await sample().finally(() => {
      isSampling = false;
    });
  }, everyMs);
  return {
    peaksMb() {
      const until = peaks;
      peaks = {};
      return until;
    },
    stop: () => clearInterval(timer),
  };
}

/**
 * From now on: the share of the processors' time, 0 to 1, that the machine's host gave to others while something wanted to run here
 * (proc(5), "steal"). What is measured meanwhile is slower by about that.
 */
export async function watchStolen(): Promise<() => Promise<number>> {
  const before = await processorTicks();
  return async () => {
    const after = await processorTicks();
    return (after.stolen - before.stolen) / Math.max(1, after.all - before.all);
  };
}

async function processorTicks(): Promise<{ all: number; stolen: number }> {
  const [first = ""] = (await readFile("/proc/stat", "utf8")).split("\n");
  // user, nice, system, idle, iowait, irq, softirq, steal; guests are counted as users.
  const ticks = first.split(/\s+/).slice(1, 9).map(Number);
  return { all: ticks.reduce((sum, value) => sum + value, 0), stolen: ticks[7] ?? 0 };
}
