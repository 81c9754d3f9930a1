import { type ParseArgsConfig, parseArgs } from "node:util";
import { Trouble } from "./trouble.ts";

type Options = NonNullable<ParseArgsConfig["options"]>;

/** What stands on a command line beside its options: the names of those that are needed, in order, and how many there may be. */
export type Positionals = { needs: readonly string[]; most: number };

/** Options and positionals of a command line. A wrong or missing one is a Trouble that names it and shows the usage. */
export function parseArguments<O extends Options>(
  argv: readonly string[],
  options: O,
  usage: string,
  { needs, most }: Positionals = { needs: [], most: 0 },
) {
  try {
    const parsed = parseArgs({ args: [...argv], options, allowPositionals: true, strict: true });
    const missing = needs.slice(parsed.positionals.length);
    if (missing.length > 0)
      throw new Trouble(`${missing.join(" and ")} ${missing.length === 1 ? "is" : "are"} missing`, usage);
    if (parsed.positionals.length > most)
      throw new Trouble(`"${parsed.positionals[most]}" is one argument too many`, usage);
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
