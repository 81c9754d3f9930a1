import { type ParseArgsConfig, parseArgs } from "node:util";
import { Trouble } from "./trouble.ts";

type Options = NonNullable<ParseArgsConfig["options"]>;

/** Options and positionals of a command line. A wrong one is a Trouble that shows the command's usage. */
export function parseArguments<O extends Options>(
  argv: readonly string[],
  options: O,
  usage: string,
  positionals: { least: number; most: number } = { least: 0, most: 0 },
) {
  try {
    const parsed = parseArgs({ args: [...argv], options, allowPositionals: true, strict: true });
    if (parsed.positionals.length < positionals.least) throw new Trouble("something is missing", usage);
    if (parsed.positionals.length > positionals.most)
      throw new Trouble(`"${parsed.positionals[positionals.most]}" is one argument too many`, usage);
    return parsed;
  } catch (error) {
    if (error instanceof TypeError) throw new Trouble(error.message.split(". ")[0] ?? error.message, usage);
    throw error;
  }
}

export type Command = {
  /** `tyto send --from ...`, shown for a wrong argument. */
  usage: string;
  /** Resolves with the exit code. */
  run(argv: readonly string[]): Promise<number>;
};
