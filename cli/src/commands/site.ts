import { HoldReleased, MeasureView, SiteDetail, SiteLimitSet, siteLimitBounds } from "@tyto/contracts";
import type { z } from "zod";
import { type Api, apiOptions, apiUsage, callApi, findApi } from "../api/client.ts";
import { type Command, parseArguments } from "../arguments.ts";
import { environment } from "../places.ts";
import { colours, marks, say, table } from "../screen.ts";
import { Trouble } from "../trouble.ts";
import { seconds, width } from "./queue.ts";
import {
  askedLine,
  connections,
  formatHold,
  formatMeasure,
  lasting,
  since,
  stateMark,
  until,
  wrapped,
} from "./queue-lines.ts";

const options = {
  ...apiOptions,
  json: { type: "boolean" },
  rate: { type: "string" },
  connections: { type: "string" },
  for: { type: "string" },
  why: { type: "string" },
  "above-ceiling": { type: "boolean" },
  release: { type: "boolean" },
} as const;

export const command: Command = {
  usage: [
    "tyto site DOMAIN [--json]     where mail to a domain goes: its servers, policies, limits, what waits, what it answered last",
    "tyto site SITE --rate 60/min --connections 2 --for 2h [--why TEXT]     set a site's limits for a time: one of them or both",
    "tyto site SITE --release                                               end them, and a suspension: what waited for that goes on",
    "",
    "  SITE               as tyto queue names it, or a domain, which stands for the whole site that its mail goes to",
    "  --rate N/min       messages (per s, min or h) from each address of ours, all mta processes together",
    `  --connections N    connections at a time, likewise: 1 to ${siteLimitBounds.connectionsMax}`,
    "  --for 2h           from 1m to 24h (s, m, h, d); then the site begins at its usual limits",
    "  --above-ceiling    also more than Tyto gives the site by itself, which is refused else",
    "",
    apiUsage,
  ].join("\n"),
  async run(argv) {
    const { values, positionals } = read(argv, this.usage);
    const path = `/v1/sites/${encodeURIComponent(positionals[0] ?? "")}`;
    const wanted = limitsOf(values);
    const api = await findApi(values, environment());
    if (values.release) return release(api, values, path);
    if (wanted !== undefined) {
      const measure = MeasureView.parse(await callApi(api, "PUT", `${path}/limits`, wanted));
      say(values.json ? JSON.stringify(measure) : formatMeasure(measure, Date.now()));
      return 0;
    }
    const site = SiteDetail.parse(await callApi(api, "GET", path));
    if (values.json) say(JSON.stringify(site));
    else for (const line of formatSite(site, width(), Date.now())) say(line);
    return 0;
  },
};

type Values = ReturnType<typeof read>["values"];
const read = (argv: readonly string[], usage: string) =>
  parseArguments(argv, options, usage, { needs: ["the DOMAIN or SITE"], most: 1 });

/** The limits that are to be set; undefined when the site is only looked at. Throws Trouble for what makes no sense together. */
function limitsOf(values: Values): z.input<typeof SiteLimitSet> | undefined {
  const { rate, connections, why, release, for: lasts, "above-ceiling": isAbove } = values;
  const isSetting = rate !== undefined || connections !== undefined;
  if (release && [rate, connections, why, lasts, isAbove].some((one) => one !== undefined))
    throw new Trouble("set limits, or release them?", "--release goes alone");
  if (!isSetting) {
    if ([why, lasts, isAbove].some((one) => one !== undefined))
      throw new Trouble("which limits?", "--rate 60/min, --connections 2, or both");
    return undefined;
  }
  if (lasts === undefined)
    throw new Trouble("for how long?", "--for 2h: a day at most, then the usual limits are in force again");
  if (connections !== undefined && !/^\d{1,9}$/.test(connections))
    throw new Trouble(`"${connections}" is no number of connections`, "write it like --connections 2");
  const wanted = SiteLimitSet.safeParse({
    ...(rate === undefined ? {} : { rate }),
    ...(connections === undefined ? {} : { connections: Number(connections) }),
    ...(why === undefined ? {} : { why }),
    ...(isAbove === undefined ? {} : { above_ceiling: isAbove }),
    for_s: seconds(lasts),
  });
  if (wanted.success) return wanted.data;
  const [issue] = wanted.error.issues;
  const name = { rate: "--rate", connections: "--connections", for_s: "--for", why: "--why" }[
    String(issue?.path[0])
  ];
  throw new Trouble(`${name ?? "the limits"}: ${issue?.message}`, bounds);
}

const bounds = `--rate is like 60/min, 2/s or 500/h; --connections from 1 to ${siteLimitBounds.connectionsMax}; --for from 1m to 24h`;

async function release(api: Api, values: Values, path: string): Promise<number> {
  const released = HoldReleased.parse(await callApi(api, "DELETE", `${path}/limits`));
  if (values.json) say(JSON.stringify(released));
  else for (const line of formatReleased(released)) say(line);
  return 0;
}

function formatReleased({ key, was_held: wasHeld, asked }: z.infer<typeof HoldReleased>): string[] {
  const ended = `${marks.ok} ${key} has ended: the usual limits are in force, and what waited because of it goes on`;
  if (asked) return [...(wasHeld ? [ended] : []), askedLine];
  return [
    wasHeld ? ended : `${marks.partly} no limits were set (there is no ${key}), and it is not suspended`,
  ];
}

type Site = z.infer<typeof SiteDetail>;
const number = (value: number) => value.toLocaleString("en-US");

/** A site as lines for a terminal of `columns` characters. */
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
    ...section("waiting", waiting(site, columns, nowMs)),
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

function flow({ state, ceiling, replies: tried }: Site, columns: number, nowMs: number): string[] {
  const most = ceiling === undefined ? [] : [colours.dim(byItself(ceiling))];
  if (state === undefined) return [untried(tried, nowMs), ...most];
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
    ...most,
  ];
}

/** What `--above-ceiling` is about. */
function byItself({ rate_per_minute: rate, connections: open }: NonNullable<Site["ceiling"]>): string {
  const most = rate === undefined ? "" : `${number(rate)}/min over `;
  return `by itself at most ${most}${connections(open)} from each address`;
}

/** No server was asked: nobody wrote there, or every attempt ended before there was one, as `answered last` tells. */
function untried(tried: Site["replies"], nowMs: number): string {
  const [last] = tried;
  if (last === undefined) return colours.dim("nothing was sent there since the mta started");
  const times = tried.reduce((sum, one) => sum + one.times, 0);
  const attempts = times === 1 ? "1 attempt" : `${number(times)} attempts`;
  return `${marks.bad} ${attempts} ended before a server was asked, the last ${since(last.at, nowMs)} ago: ${last.reply ?? last.reason ?? last.outcome}`;
}

function waiting({ waiting: held }: Site, columns: number, nowMs: number): string[] {
  const { entries, ready, later, oldest_at, next_at, why } = held;
  if (entries === 0) return [`${marks.ok} nothing`];
  return [
    [
      `${number(entries)}: ${number(ready)} due, ${number(later)} later`,
      oldest_at === undefined ? undefined : `oldest ${since(oldest_at, nowMs)}`,
      next_at === undefined ? undefined : `next in ${until(next_at, nowMs)}`,
    ]
      .filter((part) => part !== undefined)
      .join(", "),
    ...(why === undefined ? [] : wrapped(why, columns - 2, "  ").map(colours.dim)),
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
