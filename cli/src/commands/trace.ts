import { EmailDetail } from "@tyto/contracts";
import { apiOptions, apiUsage, callApi, findApi } from "../api/client.ts";
import { type Command, parseArguments } from "../arguments.ts";
import { environment } from "../places.ts";
import { colours, duration, marks, say, table } from "../screen.ts";
import { detailWords } from "./trace-detail.ts";
import { traceLive } from "./trace-live.ts";

export const command: Command = {
  usage: [
    "tyto trace MESSAGE_ID                the life of one message in order",
    "tyto trace --live DOMAIN [--json]    the SMTP dialogue with its servers as it happens, secrets masked; Ctrl-C ends it",
    "",
    apiUsage,
  ].join("\n"),
  async run(argv) {
    const options = { ...apiOptions, live: { type: "boolean" }, json: { type: "boolean" } } as const;
    const { values, positionals } = parseArguments(argv, options, this.usage, {
      needs: [argv.includes("--live") ? "the DOMAIN" : "the MESSAGE_ID"],
      most: 1,
    });
    const api = await findApi(values, environment());
    const id = positionals[0] ?? "";
    if (values.live) return traceLive(api, id, values.json === true);
    const message = EmailDetail.parse(await callApi(api, "GET", `/v1/emails/${encodeURIComponent(id)}`));
    for (const line of formatTrace(message)) say(line);
    return 0;
  },
};

/** The message, its steps in order with the time since the step before, and where each recipient stands. */
export function formatTrace(message: EmailDetail): string[] {
  const steps = [...message.timeline].sort((one, other) => Date.parse(one.at) - Date.parse(other.at));
  const rows = steps.map((step, index) => {
    const atMs = Date.parse(step.at);
    const before = steps[index - 1];
    const since = before ? `+${duration(atMs - Date.parse(before.at))}` : "";
    const facts = [step.recipient, step.reply && colours.cyan(step.reply)];
    return [
      colours.dim(step.at.slice(11, 23)),
      colours.dim(since),
      tint(step.event),
      facts.filter((fact) => fact).join("  "),
    ];
  });
  return [
    `${colours.bold(message.subject)}  ${message.status}`,
    colours.dim(`from ${message.from}, ${message.created_at}, ${message.id}`),
    "",
    ...(rows.length > 0 ? withDetails(table(rows), steps) : [colours.dim("no step is recorded yet")]),
    "",
    ...table(
      message.recipients.map(({ address, status, attempts, reason }) => [
        `${mark(status)} ${address}`,
        status,
        attempts === 1 ? "1 attempt" : `${attempts} attempts`,
        reason ?? "",
      ]),
    ),
  ];
}

const bad = new Set(["bounced", "refused", "suppressed"]);
const mark = (status: string) =>
  status === "delivered" ? marks.ok : bad.has(status) ? marks.bad : marks.partly;

const tint = (event: string) => {
  const verb = event.split(".")[1] ?? "";
  if (verb === "delivered") return colours.green(event);
  return bad.has(verb)
    ? colours.red(event)
    : verb === "deferred" || verb === "held"
      ? colours.yellow(event)
      : event;
};

/** Under each step what else is known of it. */
const withDetails = (lines: readonly string[], steps: EmailDetail["timeline"]) =>
  lines.flatMap((line, index) => {
    const words = detailWords(steps[index]?.detail, steps[index]?.reply);
    return words.length === 0 ? [line] : [line, colours.dim(`    ${words.join(" · ")}`)];
  });
