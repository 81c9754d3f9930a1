import { createInterface } from "node:readline/promises";
import {
  HoldList,
  HoldReleased,
  HoldView,
  QueueActed,
  QueueHeld,
  QueueReleased,
  QueueView,
  sumActed,
} from "@tyto/contracts";
import type { z } from "zod";
import { type Api, apiOptions, apiUsage, callApi, findApi } from "../api/client.ts";
import { type Command, parseArguments } from "../arguments.ts";
import { environment } from "../places.ts";
import { colours, marks, say } from "../screen.ts";
import { Trouble } from "../trouble.ts";
import { askedLine, formatActed, formatHold, formatMeasure, formatQueue } from "./queue-lines.ts";

const filterOptions = {
  site: { type: "string" },
  domain: { type: "string" },
  organization: { type: "string" },
  campaign: { type: "string" },
  traffic: { type: "string" },
  recipient: { type: "string" },
  message: { type: "string" },
  "older-than": { type: "string" },
  reason: { type: "string" },
} as const;

const options = {
  ...apiOptions,
  ...filterOptions,
  by: { type: "string" },
  limit: { type: "string" },
  json: { type: "boolean" },
  yes: { type: "boolean" },
  "dry-run": { type: "boolean" },
  why: { type: "string" },
  for: { type: "string" },
  pool: { type: "string" },
  hold: { type: "string" },
  everything: { type: "boolean" },
} as const;

type Values = ReturnType<typeof read>["values"];

export const command: Command = {
  usage: [
    "tyto queue [--by site|organization|campaign] [CONDITIONS]    what waits: how much, since when, how fast, and why",
    "tyto queue hold CONDITIONS --why TEXT [--for 2h]             keep mail from being sent",
    "tyto queue release CONDITIONS                                let it be sent again",
    "tyto queue requeue CONDITIONS                                try it now instead of at its time; a suspended --site is asked",
    "tyto queue rebind CONDITIONS --pool NAME                     send it from another pool of addresses",
    "tyto queue bounce CONDITIONS --why TEXT                      give up on it; its sender sees the bounce",
    "tyto queue holds                                             what is held, what rules do with mail, limits set by tyto site: by whom and why",
    "tyto queue release --hold KEY                                end one of these, by its key",
    "",
    "CONDITIONS, which must all hold:",
    "  --site SITE            as tyto queue names it; google* stands for all that begin so",
    "  --domain DOMAIN        the recipients' domain",
    "  --organization ID  --campaign NAME  --traffic transactional|bulk",
    "  --recipient ADDRESS  --message MESSAGE_ID",
    "  --older-than 2h        accepted at least so long ago (s, m, h, d)",
    "  --reason REASON        why the last attempt failed, such as rate.limited or network.unreachable",
    "",
    "  --everything   with hold and release, in place of conditions: all sending",
    "  --dry-run      say how many it would be, and change nothing",
    "  --yes          do not ask",
    "  --limit N      rows (default 40)      --json   as the API answers",
    "A single site, domain, organisation or campaign is held as such, mail to come included; so is an organisation or campaign",
    "with a --site, at that site alone. Anything else is put off.",
    "",
    apiUsage,
  ].join("\n"),
  async run(argv) {
    const { values, positionals } = read(argv, this.usage);
    const api = await findApi(values, environment());
    const [action = "show"] = positionals;
    const act = actions[action];
    if (act === undefined) throw new Trouble(`there is no "tyto queue ${action}"`, this.usage);
    mustApply(action, values);
    return act(api, values);
  },
};

const read = (argv: readonly string[], usage: string) =>
  parseArguments(argv, options, usage, { needs: [], most: 1 });

const rowsDefault = "40";

const changing = ["hold", "release", "requeue", "rebind", "bounce"];
/** What means something to some actions only. Elsewhere somebody expects of it what will not happen. */
const appliesTo: Partial<Record<keyof Values, readonly string[]>> = {
  by: ["show"],
  limit: ["show"],
  why: ["hold", "bounce"],
  for: ["hold"],
  pool: ["rebind"],
  everything: ["hold", "release"],
  yes: changing,
  "dry-run": changing,
};

function mustApply(action: string, values: Values): void {
  for (const [name, actions] of Object.entries(appliesTo))
    if (values[name as keyof Values] !== undefined && !actions.includes(action))
      throw new Trouble(
        `--${name} means nothing to "tyto queue${action === "show" ? "" : ` ${action}`}"`,
        `it goes with ${actions.map((one) => (one === "show" ? "tyto queue" : `tyto queue ${one}`)).join(", ")}`,
      );
  const filter = Object.keys(filterOptions).find((name) => values[name as keyof Values] !== undefined);
  if (values.everything && filter !== undefined)
    throw new Trouble(`everything, or only a part by --${filter}?`, "leave one of them out");
}

const actions: Record<string, (api: Api, values: Values) => Promise<number>> = {
  async show(api, values) {
    const { message_id, older_than_s, ...filter } = filterOf(values);
    const query = new URLSearchParams({
      by: values.by ?? "site",
      limit: values.limit ?? rowsDefault,
      ...filter,
      ...(message_id === undefined ? {} : { message_id }),
      ...(older_than_s === undefined ? {} : { older_than_s: String(older_than_s) }),
    });
    const queue = QueueView.parse(await callApi(api, "GET", `/v1/queue?${query}`));
    if (values.json) say(JSON.stringify(queue));
    else for (const line of formatQueue(queue, width(), Date.now())) say(line);
    return 0;
  },

  async holds(api, values) {
    const { data, measures } = HoldList.parse(await callApi(api, "GET", "/v1/holds"));
    if (values.json) {
      say(JSON.stringify([...data, ...measures]));
      return 0;
    }
    if (data.length === 0) say(`${marks.ok} nothing is held`);
    for (const hold of data) say(formatHold(hold, Date.now()));
    for (const measure of measures) say(formatMeasure(measure, Date.now()));
    return 0;
  },

  async hold(api, values) {
    const why = needed(values.why, "say why, for whoever finds it held", "--why TEXT");
    const forS = values.for === undefined ? {} : { for_s: seconds(values.for) };
    if (values.everything) {
      if (values["dry-run"]) return actions.show?.(api, values) ?? 0;
      await agree(values, "Hold all sending?");
      const hold = HoldView.parse(
        await callApi(api, "POST", "/v1/holds", { scope: "everything", why, ...forS }),
      );
      return tell(values, hold, () => say(formatHold(hold, Date.now())));
    }
    return inParts(api, values, "hold", "Hold", { why, ...forS }, (answer) => {
      const { hold, entries } = QueueHeld.parse(answer);
      if (hold !== undefined) say(formatHold(hold, Date.now()));
      return entries;
    });
  },

  async release(api, values) {
    if (values.hold !== undefined) return releaseHold(api, values, values.hold);
    if (values.everything) return releaseEverything(api, values);
    return inParts(api, values, "release", "Release", {}, (answer) => {
      const { hold, entries } = QueueReleased.parse(answer);
      if (hold !== undefined)
        say(
          hold.was_held
            ? `${marks.ok} ${hold.key} is held no more; its mail goes on`
            : hold.asked
              ? askedLine
              : `${marks.partly} ${hold.key} was not held: see tyto queue holds`,
        );
      return entries;
    });
  },

  bounce: (api, values) =>
    inParts(api, values, "bounce", "Give up on", {
      why: needed(values.why, "say why: the senders read it in their bounces", "--why TEXT"),
    }),

  requeue: (api, values) => inParts(api, values, "requeue", "Try again now", {}),

  rebind: (api, values) =>
    inParts(api, values, "rebind", "Move", {
      pool: needed(values.pool, "which pool?", "--pool NAME; GET /v1/pools lists them"),
    }),
};

/** Ends the hold on everything; holds on sites, senders and the like stay, and are told. */
async function releaseEverything(api: Api, values: Values): Promise<number> {
  const { data } = HoldList.parse(await callApi(api, "GET", "/v1/holds"));
  const others = data.filter(({ scope }) => scope !== "everything");
  const stay =
    others.length === 0 ? [] : ["still held:", ...others.map((one) => formatHold(one, Date.now()))];
  if (others.length === data.length) {
    return tell(values, { was_held: false }, () => {
      for (const line of [`${marks.partly} sending as a whole was not held`, ...stay]) say(line);
    });
  }
  if (values["dry-run"]) return actions.holds?.(api, values) ?? 0;
  await agree(values, "Let all sending go on?");
  const released = await callApi(api, "DELETE", `/v1/holds/${encodeURIComponent("everything:*")}`);
  return tell(values, released, () => {
    for (const line of [`${marks.ok} sending goes on`, ...stay]) say(line);
  });
}

/** Ends a hold, or what a rule does, by the key that `tyto queue holds` shows. */
async function releaseHold(api: Api, values: Values, key: string): Promise<number> {
  const answer = await callApi(api, "DELETE", `/v1/holds/${encodeURIComponent(key)}`);
  const released = HoldReleased.parse(answer);
  return tell(values, released, () =>
    say(
      released.was_held
        ? `${marks.ok} ${key} has ended`
        : `${marks.partly} there is no ${key}: see tyto queue holds`,
    ),
  );
}

type Acted = z.infer<typeof QueueActed>;

/** Counts first and asks, then does it part by part. */
async function inParts(
  api: Api,
  values: Values,
  action: string,
  verb: string,
  more: object,
  take: (answer: unknown) => Acted | undefined = (answer) => QueueActed.parse(answer),
): Promise<number> {
  const filter = filterOf(values);
  if (Object.keys(filter).length === 0)
    throw new Trouble(
      "which mail? give at least one condition",
      "such as --site, --domain or --older-than; see tyto queue --help",
    );
  const all = async (isDryRun: boolean): Promise<Acted | undefined> => {
    let total: Acted | undefined;
    let cursor: string | null | undefined;
    do {
      const request = { filter, ...more, dry_run: isDryRun, ...(cursor ? { cursor } : {}) };
      const part = take(await callApi(api, "POST", `/v1/queue/${action}`, request));
      if (part === undefined) return total;
      total = sumActed(total, part);
      cursor = part.next_cursor;
      if (cursor && process.stderr.isTTY) process.stderr.write(`\r${total.matched} … `);
    } while (cursor);
    if (process.stderr.isTTY) process.stderr.write("\r\u001b[K");
    return total;
  };

  if (!values.yes || values["dry-run"]) {
    const found = await all(true);
    if (found === undefined) return 0;
    if (values["dry-run"]) return tell(values, found, () => show(found));
    if (!values.json) show(found);
    if (found.matched === 0 && action !== "hold" && action !== "release") return 0;
    await agree(values, `${verb} ${found.matched === 1 ? "this entry" : `these ${found.matched} entries`}?`);
  }
  const done = await all(false);
  return done === undefined ? 0 : tell(values, done, () => show(done));
}

const show = (acted: Acted) => {
  for (const line of formatActed(acted, Date.now())) say(line);
};

function tell(values: Values, answer: unknown, print: () => void): number {
  if (values.json) say(JSON.stringify(answer));
  else print();
  return 0;
}

async function agree(values: Values, question: string): Promise<void> {
  if (values.yes) return;
  if (!process.stdin.isTTY)
    throw new Trouble("nobody is here to ask", "give --yes to go on without a question");
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question(`${question} ${colours.dim("[y/N]")} `);
  terminal.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw new Trouble("nothing was changed");
}

function filterOf(values: Values) {
  const { site, domain, organization, campaign, traffic, recipient, message, reason } = values;
  const olderThan = values["older-than"];
  const given = { site, domain, organization, campaign, traffic, recipient, reason };
  return {
    ...(Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Record<
      string,
      string
    >),
    ...(message === undefined ? {} : { message_id: message }),
    ...(olderThan === undefined ? {} : { older_than_s: seconds(olderThan) }),
  };
}

function needed(value: string | undefined, question: string, hint: string): string {
  if (value === undefined || value === "") throw new Trouble(question, hint);
  return value;
}

const unitS = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;

/** "90s", "15m", "2h", "3d" in seconds. */
export function seconds(text: string): number {
  const [, digits, unit] = /^(\d{1,7})(s|m|h|d)$/.exec(text) ?? [];
  if (unit === "s" || unit === "m" || unit === "h" || unit === "d") return Number(digits) * unitS[unit];
  throw new Trouble(`"${text}" is not a time`, "write it like 90s, 15m, 2h or 3d");
}

const columnsOfPipe = 200;
export const width = () => process.stdout.columns ?? columnsOfPipe;
