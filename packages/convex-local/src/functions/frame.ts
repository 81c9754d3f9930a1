import { AsyncLocalStorage } from "node:async_hooks";
import type { Identity } from "../auth/identity.ts";
import type { QueryStream } from "../query/stream.ts";
import type { Json } from "../values/wire.ts";
import { LOG_LINES_MAX } from "./limits.ts";
import { logLine } from "./log-text.ts";
import { SeededRandom } from "./random.ts";
import type { Transaction } from "./transaction.ts";

export type FunctionKind = "query" | "mutation" | "action" | "httpAction";

/** Where a call came from, for `ctx.meta.getRequestMetadata()`. */
export type RequestMetadata = {
  requestId: string;
  ip: string | null;
  userAgent: string | null;
  scheduledFunctionId: string | null;
  authToken: string | null;
  /** Where the request came through the door of another process: its number there. */
  passage?: number | undefined;
};

/** What the engine answers to a running function; `syscalls.ts` implements it. */
export type Host = {
  syscall(frame: Frame, op: string, args: Record<string, Json>): Json;
  /** The JSON text of the answer: most answers are texts already. */
  asyncSyscall(frame: Frame, op: string, args: Record<string, Json>): Promise<string>;
  jsSyscall(frame: Frame, op: string, args: Record<string, unknown>): unknown;
};

/** Journal of a paginated query: the end of its page, kept so that the live page keeps its end. */
export type Journal = { given: string | null; end: string | null; hasPaginated: boolean };

/** One running function. */
export type Frame = {
  host: Host;
  kind: FunctionKind;
  component: string;
  /** "dir/file:export". */
  path: string;
  identity: Identity | null;
  metadata: RequestMetadata;
  environment: Readonly<Record<string, string>>;
  /** Frozen for queries and mutations, so that running again gives the same. */
  nowMs: number;
  /** The clock of actions, when it is not that of the process. */
  clock: (() => number) | null;
  /** Made when it is first asked for. */
  random: SeededRandom | null;
  /** Set for queries and mutations. */
  transaction: Transaction | null;
  journal: Journal;
  logLines: string[];
  streams: Map<number, QueryStream>;
  nextStreamId: number;
  /** The nested call that is running; database calls of this frame wait for it. */
  child: Promise<unknown> | null;
  depth: number;
  /** Calls of the engine that have not been answered yet. */
  operations: number;
  /** What the function tried though it must not: it fails with this even if it has caught it. */
  refusal: Error | null;
  /** Set when the function has ended or was given up: nothing may reach the engine any more. */
  isClosed: boolean;
};

const frames = new AsyncLocalStorage<Frame>();

export const currentFrame = (): Frame | undefined => frames.getStore();
/** Makes a frame the current one for what follows, where `runInFrame` had no chance to end. */
export const goOnInFrame = (frame: Frame | undefined): void => frames.enterWith(frame as Frame);
export const runInFrame = <T>(frame: Frame, work: () => T): T => frames.run(frame, work);
/** Runs work that no function is responsible for, whoever calls. */
export const outsideFrames = <T>(work: () => T): T => frames.exit(work);

export function appendLog(frame: Frame, level: string, parts: readonly unknown[]): void {
  const left = LOG_LINES_MAX - frame.logLines.length;
  if (left > 1) frame.logLines.push(logLine(level, parts));
  if (left === 1)
    frame.logLines.push(`[WARN] Log overflow (maximum ${LOG_LINES_MAX}). Remaining log lines omitted.`);
}

export function randomOf(frame: Frame): SeededRandom {
  frame.random ??= new SeededRandom();
  return frame.random;
}
