import type { Command } from "../arguments.ts";
import { commands } from "../commands.ts";
import { colours, say, table } from "../screen.ts";

export const command: Command = {
  usage: "tyto help",
  async run() {
    say(`${colours.bold("tyto")}: email on your own machines\n`);
    for (const line of table(commands.map(({ name, summary }) => [`  ./tyto ${name}`, summary]))) say(line);
    say("\nMore about one of them: ./tyto COMMAND --help");
    return 0;
  },
};
