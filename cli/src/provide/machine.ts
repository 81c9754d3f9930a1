import { type Environment, type Places, places, searchPath, which } from "../places.ts";
import { type Outcome, type RunOptions, run } from "../run.ts";

/** What providing a program needs of the machine; a parameter, so that tests bring their own. */
export type Machine = {
  cacheDir: string;
  isRoot: boolean;
  platform: NodeJS.Platform;
  which(...programs: string[]): string | undefined;
  run(argv: readonly string[], options?: RunOptions): Promise<Outcome>;
  say(text: string): void;
};

/** A program that is there, or why it is not and the command that mends it. */
export type Provided =
  | { kind: "there"; path: string; version: string }
  | { kind: "missing"; reason: string; mend: string };

/** The machine that this process runs on; `say` tells what takes long. */
export function thisMachine(env: Environment, say: (text: string) => void): Machine & { places: Places } {
  const here = places(env);
  const path = searchPath(env, here.cacheDir);
  return {
    places: here,
    cacheDir: here.cacheDir,
    isRoot: process.getuid?.() === 0,
    platform: process.platform,
    which: (...programs) => which(path, ...programs),
    run: (argv, options) => run(argv, { env: { ...env, PATH: path, LC_ALL: "C" }, ...options }),
    say,
  };
}
