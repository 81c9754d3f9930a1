/** Knows whether clamd works, by scanning nothing every few seconds: that goes the way of a real scan. */
import type { Log } from "@tyto/service";
import type { Clamd } from "./clamd.ts";

export type Watch = {
  /** What is wrong with clamd, in words; `undefined` while it works. */
  problem(): string | undefined;
  /** What clamd calls itself. */
  engine(): string;
  /** A scan failed: look now, and resolve when it is known whether it is clamd's fault. */
  look(): Promise<void>;
  stop(): void;
};

export type WatchTimes = {
  /** Between two looks while it works, and while it does not. */
  upMs: number;
  downMs: number;
  /** The longest that a look takes. */
  answerMs: number;
};

const watchTimes: WatchTimes = { upMs: 5_000, downMs: 1_000, answerMs: 5_000 };

/** Resolves after the first look. */
export async function watchClamd(
  clamd: Clamd,
  log: Log,
  onChange: (isUp: boolean) => void,
  { upMs, downMs, answerMs }: WatchTimes = watchTimes,
): Promise<Watch> {
  let problem: string | undefined = "clamd was not asked yet";
  let engine = "ClamAV";
  let looking: Promise<void> | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stopped = false;

  const lookOnce = async () => {
    const wasDown = problem;
    const outcome = await clamd.scan(new Uint8Array(), answerMs);
    if (outcome.kind === "clean") {
      if (wasDown !== undefined) engine = (await clamd.version(answerMs)) ?? engine;
      problem = undefined;
    } else problem = outcome.kind === "failed" ? outcome.why : `clamd finds ${outcome.kind} in nothing`;
    if ((wasDown === undefined) === (problem === undefined)) return;
    onChange(problem === undefined);
    if (problem === undefined) log.info("clamd.up", { engine });
    else log.warn("clamd.down", { problem });
  };
  const look = () => {
    looking ??= lookOnce().finally(() => {
      looking = undefined;
      clearTimeout(timer);
      if (!stopped) timer = setTimeout(look, problem === undefined ? upMs : downMs);
    });
    return looking;
  };

  await look();
  if (problem !== undefined) log.warn("clamd.down", { problem });
  return {
    problem: () => problem,
    engine: () => engine,
    look,
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
