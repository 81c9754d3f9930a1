import { SiteDetail } from "@tyto/contracts";
import type { z } from "zod";
import { apiOptions, apiUsage, callApi, findApi } from "../api/client.ts";
import { type Command, parseArguments } from "../arguments.ts";
import { environment } from "../places.ts";
import { colours, marks, say, table } from "../screen.ts";
import { width } from "./queue.ts";
import {
  connections,
  formatHold,
  formatMeasure,
  lasting,
  since,
  stateMark,
  until,
  wrapped,
} from "./queue-lines.ts";

export const command: Command = {
  usage: [
    "tyto site DOMAIN [--json]     where mail to a domain goes: its servers, policies, limits, what waits, what it answered last",
    "",
    apiUsage,
  ].join("\n"),
  async run(argv) {
    const options = { ...apiOptions, json: { type: "boolean" } } as const;
    const { values, positionals } = parseArguments(argv, options, this.usage, {
      needs: ["the DOMAIN"],
      most: 1,
    });
    const api = await findApi(values, environment());
    const domain = encodeURIComponent(positionals[0] ?? "");
    const site = SiteDetail.parse(await callApi(api, "GET", `/v1/sites/${domain}`));
    if (values.json) say(JSON.stringify(site));
    else for (const line of formatSite(site, width(), Date.now())) say(line);
    return 0;
  },
};

type Site = z.infer<typeof SiteDetail>;
const number = (value: number) => value.toLocaleString("en-US");

export function formatSite(site: Site, columns: number, nowMs: number): string[] {
  const name =
    site.site === undefined || site.site === site.domain ? "" : `  site ${colours.bold(site.site)}`;
  return [
    `${colours.bold(site.domain)}${name}`,
    ...(site.trouble === undefined ? [] : [`${marks.bad} no way there: ${site.trouble}`]),
    ...site.holds.map((hold) => formatHold(hold, nowMs)),
    ...site.measures.map((measure) => formatMeasure(measure, nowMs)),
    ...section("mail servers", hosts(site)),
    ...section("policies", policies(site, columns, nowMs)),
    ...section("now", flow(site, columns, nowMs)),
    ...section("waiting", waiting(site, nowMs)),
    ...section("answered last", replies(site, columns, nowMs)),
  ];
}

const section = (title: string, lines: readonly string[]) =>
  lines.length === 0 ? [] : ["", colours.dim(title), ...lines.map((line) => `  ${line}`)];

const hosts = ({ hosts: list }: Site) =>
  table(
    list.map(({ name, port, addresses, trouble, dane }) => [
      port === 25 ? name : `${name}:${port}`,
      trouble === undefined ? addresses.join(" ") : `${marks.bad} ${trouble}`,
      ...(dane === undefined ? [] : [dane]),
    ]),
  );

const policies = ({ policies: list }: Site, columns: number, nowMs: number) =>
  list.flatMap(({ name, say: words, until: end }) =>
    wrapped(
      `${name}: ${words}${end === undefined ? "" : `, known for ${until(end, nowMs)} more`}`,
      columns - 2,
      "",
    ),
  );

function flow({ state, replies: tried }: Site, columns: number, nowMs: number): string[] {
  if (state === undefined) return [untried(tried, nowMs)];
  const { last_minute: minute, limits } = state;
  const rows = limits.map((limit) => [
    `${stateMark[limit.state]} ${limit.egress}`,
    limit.state + lasting(limit.until, nowMs),
    limit.connections_max === undefined
      ? ""
      : `${limit.connections ?? 0} of ${limit.connections_max} connections`,
    limit.rate_per_minute_max === undefined
      ? ""
      : `${number(Math.round(limit.rate_per_minute_max))}/min at most`,
    limit.messages_per_connection === undefined ? "" : `${limit.messages_per_connection} per connection`,
  ]);
  return [
    `${stateMark[state.state]} ${state.state}${lasting(state.until, nowMs)}, ${state.in_hand} in hand over ${connections(state.connections)}`,
    ...(state.why === undefined ? [] : wrapped(state.why, columns - 2, "  ").map(colours.dim)),
    `last minute ${number(minute.delivered)} delivered, ${number(minute.deferred)} deferred, ${number(minute.bounced)} bounced`,
    ...table(rows),
    ...limits
      .filter(({ why }) => why !== undefined && why !== state.why)
      .flatMap(({ egress, why }) => wrapped(`${egress}: ${why}`, columns - 2, "  ").map(colours.dim)),
  ];
}

/** No server was asked: nobody wrote there, or every attempt ended before there was one, as `answered last` tells. */
function untried(tried: Site["replies"], nowMs: number): string {
  const [last] = tried;
  if (last === undefined) return colours.dim("nothing was sent there since the mta started");
  const times = tried.reduce((sum, one) => sum + one.times, 0);
  const attempts = times === 1 ? "1 attempt" : `${number(times)} attempts`;
  return `${marks.bad} ${attempts} ended before a server was asked, the last ${since(last.at, nowMs)} ago: ${last.reply ?? last.reason ?? last.outcome}`;
}

function waiting({ waiting: { entries, ready, later, oldest_at, next_at } }: Site, nowMs: number): string[] {
  if (entries === 0) return [`${marks.ok} nothing`];
  return [
    [
      `${number(entries)}: ${number(ready)} due, ${number(later)} later`,
      oldest_at === undefined ? undefined : `oldest ${since(oldest_at, nowMs)}`,
      next_at === undefined ? undefined : `next in ${until(next_at, nowMs)}`,
    ]
      .filter((part) => part !== undefined)
      .join(", "),
  ];
}

const repliesMax = 10;
const replyMark = { delivered: marks.ok, deferred: marks.partly, bounced: marks.bad } as const;

const replies = ({ replies: list }: Site, columns: number, nowMs: number) =>
  list.slice(0, repliesMax).flatMap(({ at, outcome, reason, reply, mx, ip, times }) => {
    const many = times > 1 ? `  ${times} times` : "";
    const from = mx === undefined ? "" : `  ${mx} [${ip}]`;
    return [
      `${replyMark[outcome]} ${since(at, nowMs)} ago${many}  ${reason ?? outcome}${colours.dim(from)}`,
      ...(reply === undefined ? [] : wrapped(reply, columns - 2, "    ").map(colours.cyan)),
    ];
  });
