import { basename } from "node:path";
import { SendAnswer } from "@tyto/contracts";
import { apiOptions, apiUsage, callApi, findApi } from "../api/client.ts";
import { type Command, parseArguments } from "../arguments.ts";
import { environment } from "../places.ts";
import { colours, marks, say } from "../screen.ts";
import { Trouble } from "../trouble.ts";

const text = { type: "string" } as const;
const texts = { type: "string", multiple: true } as const;

export const command: Command = {
  usage: [
    "tyto send --from ADDRESS --to ADDRESS [--subject TEXT] [--text TEXT] [--html TEXT] [--attach FILE]",
    "",
    "  --from       a sender in a domain that is set up here: ann@example.com or 'Ann <ann@example.com>'",
    "  --to         a recipient; repeat it for more. --cc and --bcc likewise",
    "  --text -     takes the text from standard input",
    "  --attach     a file; repeat it for more",
    apiUsage,
  ].join("\n"),
  async run(argv) {
    const options = {
      ...{ from: text, to: texts, cc: texts, bcc: texts, subject: text, text, html: text, attach: texts },
      ...apiOptions,
    };
    const { values } = parseArguments(argv, options, this.usage);
    const missing = (["from", "to"] as const).filter((name) => !values[name]).map((name) => `--${name}`);
    if (missing.length > 0)
      throw new Trouble(
        `${missing.join(" and ")} ${missing.length === 1 ? "is" : "are"} missing`,
        this.usage,
      );
    const body = values.text === "-" ? await Bun.stdin.text() : values.text;
    const api = await findApi(values, environment());
    const answer = SendAnswer.parse(
      await callApi(api, "POST", "/v1/emails", {
        from: values.from,
        to: values.to,
        ...(values.cc === undefined ? {} : { cc: values.cc }),
        ...(values.bcc === undefined ? {} : { bcc: values.bcc }),
        subject: values.subject ?? "A test mail from Tyto",
        ...(values.html === undefined ? {} : { html: values.html }),
        ...(body === undefined && values.html !== undefined ? {} : { text: body ?? "It works." }),
        ...(values.attach === undefined
          ? {}
          : { attachments: await Promise.all(values.attach.map(readAttachment)) }),
      }),
    );
    say(`${marks.ok} ${answer.status}: ${colours.bold(answer.id)}`);
    for (const { address, status } of answer.recipients)
      if (status === "suppressed")
        say(`${marks.partly} ${address} is on the suppression list and gets nothing`);
    for (const warning of answer.warnings) say(`${marks.partly} ${warning}`);
    say(colours.dim(`its life: ./tyto trace ${answer.id}`));
    return 0;
  },
};

async function readAttachment(path: string) {
  const file = Bun.file(path);
  if (!(await file.exists())) throw new Trouble(`there is no file ${path} to attach`);
  return {
    filename: basename(path),
    content: Buffer.from(await file.arrayBuffer()).toString("base64"),
    content_type: file.type.split(";")[0] || "application/octet-stream",
  };
}
