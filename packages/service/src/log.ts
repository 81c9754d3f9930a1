import pino from "pino";
import { censored } from "./censor.ts";
import { createLines } from "./lines.ts";

export type Level = "debug" | "info" | "warn" | "error";
export type Fields = Record<string, unknown>;

/**
 * One structured line per thing that happened. `event` is a constant such as `mail.delivered`; what varies goes into
 * fields. Never bodies, tokens or subject lines; addresses at debug level only.
 */
export type Log = {
  debug(event: string, fields?: Fields): void;
  info(event: string, fields?: Fields): void;
  warn(event: string, fields?: Fields): void;
  error(event: string, fields?: Fields): void;
};

/** JSON lines on standard output: `{"level":"info","time":...,"service":"mta","event":"mail.delivered",...}`. */
export function createLog(service: string, level: Level = "info"): Log {
  const lines = createLines((text) => void process.stdout.write(text));
  process.on("exit", lines.flush);
  const options: pino.LoggerOptions = {
    level,
    base: { service },
    messageKey: "event",
    formatters: { level: (label) => ({ level: label }) },
    serializers: { error: (error: Error) => censored(pino.stdSerializers.err(error)) },
  };
  const logger = pino(options, lines);
  const write =
    (method: Level) =>
    (event: string, fields: Fields = {}) =>
      logger[method](censored(fields), event);
  const error = write("error");
  return {
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    // The process may be about to die of it.
    error(event, fields) {
      error(event, fields);
      lines.flush();
    },
  };
}

/** Swallows everything; for tests that look at results only. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
