import { commands } from "./commands.ts";
import { colours, complain } from "./screen.ts";
import { Trouble } from "./trouble.ts";

const [given = "help", ...rest] = process.argv.slice(2);
const name = given === "--help" || given === "-h" ? "help" : given;

try {
  const entry = commands.find((command) => command.name === name);
  if (!entry) throw new Trouble(`there is no command "${name}"`, "see ./tyto help");
  const { command } = await entry.load();
  const wantsHelp = rest.includes("--help") || rest.includes("-h");
  if (wantsHelp) process.stdout.write(`${entry.summary}\n\n${command.usage}\n`);
  process.exitCode = wantsHelp ? 0 : await command.run(rest);
} catch (error) {
  if (!(error instanceof Trouble)) throw error;
  complain(`${colours.red("tyto:")} ${error.message}`);
  if (error.hint) complain(error.hint);
  process.exitCode = 1;
}
