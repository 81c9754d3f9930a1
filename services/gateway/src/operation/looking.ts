/** What an operator looks at: the queue, sites, pools and rules, of all processes together. */
import {
  FlowState,
  type GroupState,
  noTraffic,
  PoolList,
  phrase,
  type QueueQuery,
  QueueView,
  RuleList,
  RuleTrialAnswer,
  type RuleTrialRequest,
  type SiteLimit,
  SiteList,
  type SiteState,
  shortened,
  type WaitReason,
} from "@tyto/contracts";
import type { z } from "zod";
import { toFilter } from "./filter.ts";
import { addMinutes, mergeGroups, mergePools, mergeSites, mergeWaits } from "./merge.ts";
import { noMta, type OperationPorts, processesOf } from "./ports.ts";
import { shown } from "./view.ts";

export async function viewQueue(
  ports: OperationPorts,
  { by, limit, ...conditions }: z.infer<typeof QueueQuery>,
): Promise<z.infer<typeof QueueView>> {
  const filter = toFilter(conditions, ports.now());
  const [counted, processes] = await Promise.all([
    ports.control.ask("mta.queue", { by, filter, rowsMax: limit }),
    processesOf(ports),
  ]);
  const sites = new Map(mergeSites(processes).map((site) => [site.site, site]));
  const groups = mergeGroups(
    processes.flatMap(({ organizations, campaigns }) => (by === "campaign" ? campaigns : organizations)),
  );
  const waits = mergeWaits(processes);
  const { rows, ...rest } = counted;
  const isWhole = rest.rest === undefined && Object.values(conditions).every((value) => value === undefined);
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
    rows: [
      ...rows.map(({ sites: own = [], ...row }) => ({
        ...row,
        ...(by === "site"
          ? withReason(siteFacts(sites.get(row.key)), waits.get(row.key))
          : withSites(
              groupFacts(groups.get(row.key)),
              own.map((one) => ({ ...one, why: reasonAt(sites.get(one.site), waits.get(one.site)) })),
            )),
      })),
      ...(by === "site" && isWhole ? onlyInHand(sites, waits, rows, limit) : []),
    ],
  });
}

/** Sites where mail is being sent and none waits: a tarpit has all of its mail in our hands, and none in the queue. */
function onlyInHand(
  sites: ReadonlyMap<string, SiteState>,
  waits: ReadonlyMap<string, WaitReason>,
  rows: readonly { key: string }[],
  limit: number,
) {
  const waiting = new Set(rows.map(({ key }) => key));
  return [...sites.values()]
    .filter(({ site, inHand }) => inHand > 0 && !waiting.has(site))
    .sort((one, other) => other.inHand - one.inHand)
    .slice(0, Math.max(0, limit - rows.length))
    .map((site) => ({
      ...{ key: site.site, entries: 0, ready: 0, later: 0 },
      ...withReason(siteFacts(site), waits.get(site.site)),
    }));
}

/** What is not open first, and then by traffic. */
export async function listSites(ports: OperationPorts): Promise<z.infer<typeof SiteList>> {
  const processes = await processesOf(ports);
  const data = mergeSites(processes).sort(
    (one, other) =>
      (other.state === "open" ? 0 : 1) - (one.state === "open" ? 0 : 1) || traffic(other) - traffic(one),
  );
  return shown(SiteList, { processes: processes.length, data });
}

export async function listPools({ control }: OperationPorts): Promise<z.infer<typeof PoolList>> {
  const { answers } = await control.askAll("mta.pools", {});
  if (answers.length === 0) throw noMta();
  return shown(PoolList, { processes: answers.length, data: mergePools(answers) });
}

export async function listRules(ports: OperationPorts): Promise<z.infer<typeof RuleList>> {
  const [{ rules }, processes] = await Promise.all([ports.control.ask("mta.rules", {}), processesOf(ports)]);
  return shown(RuleList, { data: rules, breakers: processes.flatMap(({ breakers }) => breakers) });
}

export async function tryRules(
  { control, now }: OperationPorts,
  { hours, rules }: z.infer<typeof RuleTrialRequest>,
): Promise<z.infer<typeof RuleTrialAnswer>> {
  const sinceMs = Math.max(0, now() - Math.round(hours * 3_600_000));
  const trial = { sinceMs, ...(rules === undefined ? {} : { rules }) };
  return shown(RuleTrialAnswer, await control.ask("mta.rules-trial", trial));
}

const traffic = ({ lastMinute: { delivered, deferred, bounced } }: SiteState) =>
  delivered + deferred + bounced;

function siteFacts(site: SiteState | undefined) {
  if (site === undefined)
    return { state: FlowState.enum.open, why: undefined, connections: 0, inHand: 0, lastMinute: noTraffic };
  const { limits, site: _, why, ...facts } = site;
  return { ...facts, why, ...rateOf(limits) };
}

/** What stops a site as a whole says why its mail waits; else it is what the last of it heard. */
const withReason = <F extends { why?: string | undefined }>(facts: F, wait: WaitReason | undefined): F =>
  facts.why === undefined && wait !== undefined ? { ...facts, why: wait.why } : facts;

/** Why a sender's mail waits at a site. While that is open, its own words may be about another sender, whom somebody holds there. */
const reasonAt = (site: SiteState | undefined, wait: WaitReason | undefined): string | undefined =>
  site?.why !== undefined && site.state !== "open" ? site.why : wait?.why;

/** What is not held as a whole waits for its sites. */
function withSites<F extends { state: FlowState; why?: string | undefined }>(
  facts: F,
  sites: readonly { site: string; entries: number; why: string | undefined }[],
): F {
  if (facts.state === "held") return facts;
  const reasons = sites.flatMap(({ site, entries, why }) =>
    why === undefined ? [] : phrase("wait.at", { count: entries, site, why }),
  );
  if (reasons.length === 0) return facts;
  const why = [facts.why, ...reasons].filter((part) => part !== undefined).join("; ");
  return { ...facts, why: shortened(why, whyCharsMax) };
}

const whyCharsMax = 500;

/** What all our addresses may send together, of which those that the site is left alone by send nothing. */
function rateOf(limits: readonly SiteLimit[]) {
  const sending = limits.filter(({ state }) => state === "open" || state === "slowed");
  const rates = sending.flatMap(({ ratePerMinuteMax }) => ratePerMinuteMax ?? []);
  if (rates.length === 0 || rates.length < sending.length) return {};
  return { ratePerMinuteMax: rates.reduce((sum, rate) => sum + rate, 0) };
}

function groupFacts(group: GroupState | undefined) {
  const { state = FlowState.enum.open, untilMs, why, lastMinute = noTraffic } = group ?? {};
  return { state, untilMs, why, lastMinute, connections: 0, inHand: 0 };
}
