import { classifyReply, parseReply, readProvider } from "@tyto/mail";
import { type Command, parseArguments } from "../arguments.ts";
import { complain, say } from "../screen.ts";
import { Trouble } from "../trouble.ts";
import { filesMax, lineOfReply, parseFiles } from "./bounce-lines.ts";

export const command: Command = {
  usage: [
    "tyto bounce classify FILE...     why mail did not arrive, one JSON object per recipient; - reads standard input",
    'tyto bounce reply "550 5.1.1 ..." [--provider gmail]     the same for one SMTP reply',
    "",
    "{file, kind, recipient, status, reply, reason, fault, hard, confidence, action}. Needs no server.",
    "What is no delivery report gives one line with its kind; mail that could be one is read as one.",
    "",
    "  --provider NAME   whose server said it: gmail, microsoft, yahoo, apple, gmx, mailru, or a domain or MX host name",
  ].join("\n"),
  async run(argv) {
    const options = { provider: { type: "string" } } as const;
    const { values, positionals } = parseArguments(argv, options, this.usage, {
      needs: ["the action (classify, reply)", "a FILE or a reply"],
      most: filesMax + 1,
    });
    const [action, ...rest] = positionals;
    if (action === "classify") return parseFiles(rest, true);
    if (action !== "reply") throw new Trouble(`there is no "tyto bounce ${action}"`, this.usage);
    // Pasted from a log, or from a shell that keeps \n as it is written.
    const reply = parseReply(rest.join(" ").replaceAll("\\n", "\n").replaceAll("\\r", ""));
    if (reply === undefined)
      throw new Trouble("that is no SMTP reply: it starts with no code such as 550", this.usage);
    const provider = values.provider === undefined ? undefined : providerNamed(values.provider);
    say(JSON.stringify(lineOfReply(reply, classifyReply(reply, provider))));
    return 0;
  },
};

/** `undefined` for whom we do not know; a single word may be a slip that changes the answer, and is told. */
function providerNamed(name: string) {
  const provider = readProvider(name);
  if (provider === undefined && !name.includes("."))
    complain(`no provider is known here as "${name}": read as anybody's reply`);
  return provider;
}
