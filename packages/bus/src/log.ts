/** What the bus needs of a log; the Log of @tyto/service fits. `event` is a constant, what varies goes into fields. */
export type BusLog = {
  info(event: string, fields?: Record<string, unknown>): void;
  warn(event: string, fields?: Record<string, unknown>): void;
  error(event: string, fields?: Record<string, unknown>): void;
};
