/** What an operator asks and does, over the mta processes that run. The views of the HTTP API come out. */
import type { Bus } from "@tyto/bus";
import {
  type ControlAnswer,
  Failure,
  FlowState,
  type GroupState,
  type Hold,
  type HoldAdd,
  HoldList,
  HoldView,
  isDomain,
  limits,
  noTraffic,
  PoolList,
  QueueActed,
  type QueueAction,
  type QueueFilter,
  type QueueFilterView,
  type QueueQuery,
  QueueView,
  RuleList,
  RuleTrialAnswer,
  type RuleTrialRequest,
  SiteDetail,
  SiteList,
  type SiteState,
} from "@tyto/contracts";
import type { z } from "zod";
import { addMinutes, mergeGroups, mergePools, mergeReplies, mergeSite, mergeSites } from "./merge.ts";
import { viewOf } from "./view.ts";

export type OperationPorts = {
  control: Pick<Bus["control"], "ask" | "askAll" | "follow">;
  now: () => number;
};

/** One request does so many entries; the answer says where to go on. */
const entriesPerRequestMax = 5_000;
const putOffMsMax = limits.expiryDays * 86_400_000;

export type ActRequest = {
  filter: QueueFilterView;
  dry_run: boolean;
  cursor?: string | undefined;
  why?: string | undefined;
  pool?: string | undefined;
  untilMs?: number | undefined;
};

export type Operation = ReturnType<typeof createOperation>;

export function createOperation({ control, now }: OperationPorts) {
  const stateOf = async () => {
    const { answers } = await control.askAll("mta.state", {});
    if (answers.length === 0) throw noMta();
    return answers;
  };
  const holds = async (): Promise<Hold[]> => (await control.ask("mta.holds", {})).holds;

  const act = async (
    action: QueueAction,
    request: ActRequest,
    by: string,
  ): Promise<z.infer<typeof QueueActed>> => {
    const { filter, dry_run: isDryRun, cursor, why, pool, untilMs } = request;
    const { next, ...acted } = await control.ask("mta.act", {
      ...{ action, isDryRun, by, entriesMax: entriesPerRequestMax, why: why ?? "" },
      filter: toFilter(filter, now()),
      ...(cursor === undefined ? {} : { after: readCursor(cursor) }),
      ...(pool === undefined ? {} : { pool }),
      ...(untilMs === undefined ? {} : { untilMs }),
    });
    const sample = acted.sample.map(({ deliveryId: _, ...shown }) => shown);
    return shown(QueueActed, {
      ...{ ...acted, sample, action, dryRun: isDryRun },
      nextCursor: next === undefined ? null : String(next),
    });
  };
  const hold = async (wanted: z.infer<typeof HoldAdd>, by: string) => {
    const { scope, id, why, for_s: forS } = wanted;
    const until = forS === undefined ? {} : { untilMs: now() + 1_000 * forS };
    return shown(HoldView, await control.ask("mta.hold", { scope, id, why, by, ...until }));
  };
  const release = async (key: string, by: string) => {
    const { wasHeld } = await control.ask("mta.release", { key, by });
    return { key, was_held: wasHeld };
  };

  return {
    async queue({ by, limit, ...conditions }: z.infer<typeof QueueQuery>) {
      const filter = toFilter(conditions, now());
      const [counted, processes] = await Promise.all([
        control.ask("mta.queue", { by, filter, rowsMax: limit }),
        stateOf(),
      ]);
      const sites = new Map(mergeSites(processes).map((site) => [site.site, site]));
      const groups = mergeGroups(
        processes.flatMap(({ organizations, campaigns }) => (by === "campaign" ? campaigns : organizations)),
      );
      const { rows, ...rest } = counted;
      return shown(QueueView, {
        ...rest,
        by,
        processes: processes.length,
        total: {
          ...counted.total,
          inHand: processes.reduce((sum, one) => sum + one.inHand, 0),
          connections: processes.reduce((sum, one) => sum + one.connections.open, 0),
          lastMinute: addMinutes(processes.map(({ lastMinute }) => lastMinute)),
        },
        rows: rows.map((row) => ({
          ...row,
          ...(by === "site" ? siteFacts(sites.get(row.key)) : groupFacts(groups.get(row.key))),
        })),
      });
    },

    act,

    /** A single scope is held as such; other conditions put the entries off. */
    async hold(request: ActRequest & { why: string; for_s?: number | undefined }, by: string) {
      const scope = scopeOf(request.filter);
      if (scope !== undefined && !request.dry_run)
        return { hold: await hold({ ...scope, why: request.why, for_s: request.for_s }, by) };
      const untilMs = now() + Math.min(putOffMsMax, 1_000 * (request.for_s ?? putOffMsMax / 1_000));
      // The first request says until when; what follows it keeps to that, or entries would be put off again and again.
      const [place, until] = request.cursor?.split("~") ?? [];
      const kept = until === undefined ? untilMs : readCursor(until);
      const entries = await act("hold", { ...request, cursor: place, untilMs: kept }, by);
      const next = entries.next_cursor;
      return { entries: { ...entries, next_cursor: next === null ? null : `${next}~${kept}` } };
    },

    async release(request: ActRequest, by: string) {
      const scope = scopeOf(request.filter);
      if (scope !== undefined && !request.dry_run)
        return { hold: await release(`${scope.scope}:${scope.id}`, by) };
      return { entries: await act("requeue", request, by) };
    },

    async sites() {
      const processes = await stateOf();
      const data = mergeSites(processes).sort(
        (one, other) =>
          (other.state === "open" ? 0 : 1) - (one.state === "open" ? 0 : 1) || traffic(other) - traffic(one),
      );
      return shown(SiteList, { processes: processes.length, data });
    },

    /** Of a domain, or of a site's id: its servers are those of the domain that it answered for last. */
    async site(name: string) {
      const isId = !isDomain(name);
      const heard = isId ? await control.askAll("mta.replies", { site: name }) : undefined;
      const [latest] = mergeReplies(heard?.answers.flatMap(({ replies }) => replies) ?? []);
      const domain = isId ? latest?.domain : name;
      const found =
        domain === undefined
          ? { domain: name, site: name, hosts: [], policies: [] }
          : await control.ask("mta.site", { domain });
      const site = isId ? name : (found.site ?? name);
      const [told, counted, held] = await Promise.all([
        heard ?? control.askAll("mta.replies", { site }),
        control.ask("mta.queue", { by: "site", filter: { site }, rowsMax: 1 }),
        holds(),
      ]);
      const state = mergeSite(told.answers.flatMap((answer) => answer.state ?? []));
      return shown(SiteDetail, {
        ...found,
        ...(isId ? { site } : {}),
        ...(state === undefined ? {} : { state }),
        waiting: counted.total,
        replies: mergeReplies(told.answers.flatMap(({ replies }) => replies)),
        holds: held.filter(
          ({ scope, id }) =>
            scope === "everything" ||
            (scope === "site" && id === site) ||
            (scope === "domain" && id === found.domain),
        ),
      });
    },

    async pools() {
      const { answers } = await control.askAll("mta.pools", {});
      if (answers.length === 0) throw noMta();
      return shown(PoolList, { processes: answers.length, data: mergePools(answers) });
    },

    async rules() {
      const [{ rules }, processes] = await Promise.all([control.ask("mta.rules", {}), stateOf()]);
      return shown(RuleList, { data: rules, breakers: processes.flatMap(({ breakers }) => breakers) });
    },

    async tryRules({ hours, rules }: z.infer<typeof RuleTrialRequest>) {
      const sinceMs = Math.max(0, now() - Math.round(hours * 3_600_000));
      return shown(
        RuleTrialAnswer,
        await control.ask("mta.rules-trial", { sinceMs, ...(rules === undefined ? {} : { rules }) }),
      );
    },

    holds: async () => shown(HoldList, { data: await holds() }),
    addHold: hold,
    releaseHold: release,

    /** Lines of SMTP sessions to a domain, site or host as they are said, until the signal or ten minutes. */
    trace: (domain: string, onLines: (told: ControlAnswer<"mta.trace">) => void, signal: AbortSignal) =>
      control.follow("mta.trace", { domain }, onLines, signal),
  };
}

const noMta = () => new Failure("upstream.down", "no mta process answers", { hint: "No mta is running" });

/** In the API's words, checked: what it describes is what comes. */
function shown<S extends z.ZodType>(schema: S, told: unknown): z.infer<S> {
  const parsed = schema.safeParse(viewOf(told));
  if (parsed.success) return parsed.data;
  throw new Failure("internal", `an answer breaks its contract: ${parsed.error.message.slice(0, 500)}`);
}

export function toFilter(view: QueueFilterView, nowMs: number): QueueFilter {
  const { organization, message_id: messageId, older_than_s: olderThanS, ...same } = view;
  const present = Object.fromEntries(Object.entries(same).filter(([, value]) => value !== undefined));
  return {
    ...present,
    ...(organization === undefined ? {} : { organizationId: organization }),
    ...(messageId === undefined ? {} : { messageId }),
    ...(olderThanS === undefined ? {} : { acceptedBeforeMs: Math.max(0, nowMs - 1_000 * olderThanS) }),
  };
}

/** The one thing that a filter names, if that is something which can be held as a whole. */
export function scopeOf(filter: QueueFilterView): Pick<Hold, "scope" | "id"> | undefined {
  const given = Object.entries(filter).filter(([, value]) => value !== undefined);
  const { site, domain, organization, campaign } = filter;
  if (given.length === 2 && organization !== undefined && campaign !== undefined)
    return { scope: "campaign", id: `${organization}/${campaign}` };
  if (given.length !== 1) return undefined;
  if (site !== undefined && !site.endsWith("*")) return { scope: "site", id: site };
  if (domain !== undefined) return { scope: "domain", id: domain };
  if (organization !== undefined) return { scope: "organization", id: organization };
  return campaign === undefined ? undefined : { scope: "campaign", id: campaign };
}

function readCursor(cursor: string): number {
  const after = Number(cursor);
  if (Number.isSafeInteger(after) && after >= 0) return after;
  throw new Failure("request.invalid", "cursor", {
    issues: [{ path: "cursor", problem: "is not a next_cursor of an answer before" }],
  });
}

const traffic = ({ lastMinute: { delivered, deferred, bounced } }: SiteState) =>
  delivered + deferred + bounced;

function siteFacts(site: SiteState | undefined) {
  if (site === undefined)
    return { state: FlowState.enum.open, connections: 0, inHand: 0, lastMinute: noTraffic };
  const { limits: _, site: __, ...facts } = site;
  return facts;
}

function groupFacts(group: GroupState | undefined) {
  const { state = FlowState.enum.open, untilMs, why, lastMinute = noTraffic } = group ?? {};
  return { state, untilMs, why, lastMinute, connections: 0, inHand: 0 };
}
