import { textHoldsCommitTs } from "../values/commit-ts.ts";
import type { Json } from "../values/wire.ts";
import { appendLog, currentFrame, type Frame, randomOf } from "./frame.ts";
import { Plain } from "./log-text.ts";

/**
 * What surrounds a running function. Functions find the engine through the global `Convex`, as in the official
 * runtime, and see a frozen clock, seeded randomness, their own environment variables and no way out of queries
 * and mutations. All of it depends on the running frame: code outside functions sees the globals as they were.
 */
export function installSandbox(): void {
  if (isInstalled) return;
  isInstalled = true;
  installEngine();
  installClock();
  installStopwatch();
  installRandom();
  installEnvironment();
  installConsole();
  refuseOutside();
}

let isInstalled = false;
let loadingEnvironment: Readonly<Record<string, string>> | null = null;

/**
 * Environment variables that modules see while they are loaded. Module code runs outside any frame, so this is
 * one value for the process; modules load one push at a time.
 */
export async function withLoadingEnvironment<T>(
  environment: Readonly<Record<string, string>>,
  load: () => Promise<T>,
): Promise<T> {
  loadingEnvironment = environment;
  try {
    return await load();
  } finally {
    loadingEnvironment = null;
  }
}

/** Timers of the process, for the engine itself: inside a query or mutation the global ones are refused. */
export const timers = {
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  setImmediate: globalThis.setImmediate,
};

function running(): Frame {
  const frame = currentFrame();
  if (frame === undefined)
    throw new Error("The Convex database and functions can only be used inside a function");
  if (frame.isClosed) throw new Error(`The function ${frame.path} has already ended`);
  return frame;
}

function installEngine(): void {
  const engine = {
    syscall(op: string, args: string): string {
      const frame = running();
      return JSON.stringify(frame.host.syscall(frame, op, JSON.parse(args) as Record<string, Json>));
    },
    asyncSyscall(op: string, args: string): Promise<string> {
      try {
        const frame = running();
        if (frame.transaction !== null && textHoldsCommitTs(args)) frame.transaction.hasUsedCommitTs = true;
        return frame.host.asyncSyscall(frame, op, JSON.parse(args) as Record<string, Json>);
      } catch (error) {
        return Promise.reject(error);
      }
    },
    jsSyscall(op: string, args: Record<string, unknown>): unknown {
      const frame = running();
      return frame.host.jsSyscall(frame, op, args);
    },
  };
  // Functions share it, so none of them may change it.
  Object.defineProperty(globalThis, "Convex", { value: Object.freeze(engine), configurable: true });
}

/** The frame whose results must not depend on anything but the database, if one is running. */
function deterministic(): Frame | undefined {
  const frame = currentFrame();
  return frame?.kind === "query" || frame?.kind === "mutation" ? frame : undefined;
}

/** A clock of a test may itself ask what time it is. */
let isAskingClock = false;

/** The time that the running function sees, when it is not that of the process. */
function ownTimeMs(): number | undefined {
  const frame = currentFrame();
  if (frame === undefined) return undefined;
  if (frame.kind === "query" || frame.kind === "mutation") return Math.floor(frame.nowMs);
  if (frame.clock === null || isAskingClock) return undefined;
  isAskingClock = true;
  try {
    return Math.floor(frame.clock());
  } finally {
    isAskingClock = false;
  }
}

function installClock(): void {
  const RealDate = globalThis.Date;
  const realNow = RealDate.now.bind(RealDate);
  RealDate.now = () => ownTimeMs() ?? realNow();
  globalThis.Date = new Proxy(RealDate, {
    construct(target, args, newTarget) {
      const nowMs = args.length === 0 ? ownTimeMs() : undefined;
      return Reflect.construct(target, nowMs === undefined ? args : [nowMs], newTarget) as Date;
    },
    apply(target, self, args) {
      const nowMs = ownTimeMs();
      return nowMs === undefined
        ? (Reflect.apply(target, self, args) as string)
        : new target(nowMs).toString();
    },
  });
}

/** Time since the start of the function: nothing passes inside a query or mutation. */
function installStopwatch(): void {
  const real = performance.now.bind(performance);
  performance.now = () => (deterministic() === undefined ? real() : 0);
}

function installRandom(): void {
  const realRandom = Math.random.bind(Math);
  Math.random = () => {
    const frame = deterministic();
    return frame === undefined ? realRandom() : randomOf(frame).number();
  };

  const realValues = crypto.getRandomValues.bind(crypto);
  crypto.getRandomValues = ((view: ArrayBufferView<ArrayBuffer>) => {
    const frame = deterministic();
    if (frame === undefined) return realValues(view as Uint8Array<ArrayBuffer>);
    randomOf(frame).fill(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
    return view;
  }) as typeof crypto.getRandomValues;

  const realUuid = crypto.randomUUID.bind(crypto);
  crypto.randomUUID = () => {
    const frame = deterministic();
    if (frame === undefined) return realUuid();
    const bytes = new Uint8Array(16);
    randomOf(frame).fill(bytes);
    bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
    bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
    const hex = Buffer.from(bytes).toString("hex");
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}` as const;
  };
}

function installEnvironment(): void {
  const real = process.env;
  const visible = () => currentFrame()?.environment ?? loadingEnvironment;
  process.env = new Proxy(real, {
    get: (target, name, receiver) => {
      const environment = visible();
      if (environment === null || typeof name !== "string")
        return Reflect.get(target, name, receiver) as unknown;
      return Object.hasOwn(environment, name) ? environment[name] : undefined;
    },
    has: (target, name) => {
      const environment = visible();
      return environment === null || typeof name !== "string"
        ? Reflect.has(target, name)
        : Object.hasOwn(environment, name);
    },
    ownKeys: (target) => {
      const environment = visible();
      return environment === null ? Reflect.ownKeys(target) : Object.keys(environment);
    },
    getOwnPropertyDescriptor: (target, name) => {
      const environment = visible();
      if (environment === null || typeof name !== "string")
        return Reflect.getOwnPropertyDescriptor(target, name);
      return Object.hasOwn(environment, name)
        ? { value: environment[name], enumerable: true, configurable: true, writable: false }
        : undefined;
    },
    set: (target, name, value) => (visible() === null ? Reflect.set(target, name, value) : false),
  });
}

const LEVELS = {
  log: "LOG",
  info: "INFO",
  warn: "WARN",
  error: "ERROR",
  debug: "DEBUG",
} as const;

function installConsole(): void {
  const target = globalThis.console;
  const instead = (method: keyof Console, inFrame: (frame: Frame, ...parts: unknown[]) => void) => {
    const real = (target[method] as (...parts: unknown[]) => void).bind(target);
    Object.assign(target, {
      [method]: (...parts: unknown[]) => {
        const frame = currentFrame();
        if (frame === undefined) real(...parts);
        else inFrame(frame, ...parts);
      },
    });
  };
  for (const [method, level] of Object.entries(LEVELS) as [keyof typeof LEVELS, string][]) {
    instead(method, (frame, ...parts) => appendLog(frame, level, parts));
  }
  instead("trace", (frame, ...parts) => {
    const stack = new Error("trace").stack ?? "";
    appendLog(frame, "LOG", [...parts, new Plain(`\n${stack.split("\n").slice(2).join("\n")}`)]);
  });
  instead("time", (frame, label) => startTimer(frame, labelOf(label)));
  instead("timeLog", (frame, label, ...parts) => logTimer(frame, labelOf(label), parts));
  instead("timeEnd", (frame, label) => {
    if (logTimer(frame, labelOf(label), [])) timersOf(frame).delete(labelOf(label));
  });
}

/** When the timers of `console.time()` began, by label. */
const consoleTimers = new WeakMap<Frame, Map<string, number>>();

const labelOf = (label: unknown): string => (label === undefined ? "default" : String(label));

function timersOf(frame: Frame): Map<string, number> {
  const known = consoleTimers.get(frame) ?? new Map<string, number>();
  consoleTimers.set(frame, known);
  return known;
}

function startTimer(frame: Frame, label: string): void {
  const running = timersOf(frame);
  if (running.has(label)) appendLog(frame, "WARN", [new Plain(`Timer '${label}' already exists`)]);
  else running.set(label, performance.now());
}

function logTimer(frame: Frame, label: string, parts: unknown[]): boolean {
  const since = timersOf(frame).get(label);
  if (since === undefined) {
    appendLog(frame, "WARN", [new Plain(`Timer '${label}' does not exist`)]);
    return false;
  }
  appendLog(frame, "INFO", [new Plain(`${label}: ${Math.round(performance.now() - since)}ms`), ...parts]);
  return true;
}

const REFUSED = ["fetch", "setTimeout", "setInterval", "setImmediate"] as const;

/** Fails the function that is running, if its result must not depend on anything outside. */
function refuse(label: string): void {
  const frame = deterministic();
  if (frame === undefined) return;
  const name = label.replace("()", "");
  frame.refusal ??= new Error(
    `Can't use ${label} in queries and mutations. Please consider using an action: \`${name}\` is not supported here, ` +
      "where results must not depend on anything outside. See https://docs.convex.dev/functions/actions for more details.",
  );
  throw frame.refusal;
}

function refuseOutside(): void {
  for (const name of REFUSED) guard(globalThis, name, name === "fetch" ? "fetch()" : name);
  guard(AbortSignal, "timeout", "AbortSignal.timeout");
  guard(crypto.subtle, "generateKey", "crypto.subtle.generateKey");
}

/** Replaces a method by one that refuses to be called where results must not depend on anything outside. */
function guard<Name extends string>(target: Record<Name, unknown> | object, name: Name, label: string): void {
  const owner = target as Record<Name, (...args: unknown[]) => unknown>;
  const real = owner[name];
  const guarded = (...args: unknown[]) => {
    refuse(label);
    return Reflect.apply(real, owner, args) as unknown;
  };
  Object.defineProperty(owner, name, {
    value: Object.assign(guarded, real),
    configurable: true,
    writable: true,
  });
}
