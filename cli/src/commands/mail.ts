import { type Command, parseArguments } from "../arguments.ts";
import { Trouble } from "../trouble.ts";
import { filesMax, parseFiles } from "./bounce-lines.ts";

export const command: Command = {
  usage: [
    "tyto mail parse FILE...     what each message is, as one JSON object per line; - reads standard input",
    "",
    "A delivery report gives one line for each recipient that it names:",
    "{file, kind, recipient, status, reply, reason, fault, hard, confidence, action}. Needs no server.",
  ].join("\n"),
  async run(argv) {
    const { positionals } = parseArguments(argv, {}, this.usage, {
      needs: ["the action (parse)", "a FILE"],
      most: filesMax + 1,
    });
    const [action, ...files] = positionals;
    if (action !== "parse") throw new Trouble(`there is no "tyto mail ${action}"`, this.usage);
    return parseFiles(files);
  },
};
