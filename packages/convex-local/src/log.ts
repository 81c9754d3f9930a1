/** One JSON line per thing that happened, on stderr. */
export function log(event: string, fields: Record<string, unknown>): void {
  const line: Record<string, unknown> = { time: new Date().toISOString(), event };
  for (const [name, value] of Object.entries(fields)) {
    line[name] = value instanceof Error ? (value.stack ?? value.message) : value;
  }
  process.stderr.write(`${JSON.stringify(line)}\n`);
}
