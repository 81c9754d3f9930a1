import type { Bus } from "@tyto/bus";
import {
  type BreakerState,
  Failure,
  type Hold,
  type PoolState,
  type QueueEntry,
  type RuleState,
  type SiteLimit,
} from "@tyto/contracts";
import { BoundedMap, type Log, type Registry } from "@tyto/service";
import type { SitePath } from "../attempt.ts";
import type { Use } from "../egress/way-out.ts";
import type { Addresses, Host, Path } from "../mx.ts";
import type { Observation } from "../observation.ts";
import { type Site, siteOf } from "../site.ts";
import type { ActPorts } from "./act.ts";
import { createActivity } from "./activity.ts";
import { type AnswerPorts, answerQuestions } from "./answers.ts";
import { createCount } from "./count.ts";
import { createGauges } from "./gauges/gauges.ts";
import { createInHand } from "./in-hand.ts";
import type { LookupPorts } from "./lookup.ts";
import { processState, type StatePorts } from "./state.ts";
import { createTraces } from "./trace.ts";
import { createWithholding } from "./withhold.ts";

export type ControlPorts = {
  bus: Pick<Bus, "control" | "queue">;
  process: string;
  smtpPort: number;
  connections(): { open: number; idle: number; max: number };
  findPath(domain: string): Promise<Path>;
  addressesOf(host: Host): Promise<Addresses>;
  /** Whether a queue entry of this delivery is being worked on here. */
  isInHand(id: QueueEntry["deliveryId"]): boolean;
  act: Pick<ActPorts, "markOf" | "putMark" | "publish" | "dropBody">;
  /** Parts that know more; each absent one leaves its answer empty. */
  parts?: {
    policiesOf?: LookupPorts["policiesOf"];
    limitsOf?(site: string): SiteLimit[];
    breakers?(): readonly BreakerState[];
    /** `useOf`: what goes through an address now. */
    pools?(useOf: (egress: string) => Use): PoolState[];
    /** Open connections of an address, over all sites. */
    connectionsFrom?(egress: string): number;
    rules?(): RuleState[];
    tryRules?: AnswerPorts["tryRules"];
    holds?: AnswerPorts["holds"];
  };
  registry: Registry;
  log: Pick<Log, "info" | "warn">;
  now: () => number;
};

/** Sites of domains, as deliveries found them. */
const domainsMax = 100_000;

export type Control = ReturnType<typeof createControl>;

/** The part of the mta that operators talk to: it looks on, counts, answers, and changes what they ask for. */
export function createControl(ports: ControlPorts) {
  const { bus, process, smtpPort, now, log, parts = {} } = ports;
  const activity = createActivity(now);
  const inHand = createInHand();
  const sites = new BoundedMap<string, Pick<Site, "id" | "provider">>(domainsMax);
  const withholding = createWithholding(ports.isInHand, now);
  const siteOfDomain = (domain: string) => {
    const site = sites.get(domain);
    return site && { site: site.id, ...(site.provider === undefined ? {} : { provider: site.provider }) };
  };
  const findPath = async (domain: string): Promise<SitePath> => {
    const path = await ports.findPath(domain);
    if (path.kind === "none") return path;
    const site = siteOf(path.hosts, smtpPort);
    const { id, provider } = site;
    sites.set(domain, { id, ...(provider === undefined ? {} : { provider }) });
    return { ...path, site };
  };
  const traces = createTraces({
    process,
    async hostsOf(domain) {
      const path = await findPath(domain);
      return path.kind === "hosts" ? path.hosts.map(({ name }) => name) : [];
    },
    siteOfHost: (name) =>
      siteOf([{ name, port: smtpPort, isTrusted: false, isImplicit: false }], smtpPort).id,
  });
  const noHolds: AnswerPorts["holds"] = {
    list: () => [] as Hold[],
    hold: () => Promise.reject(notHere("holds")),
    release: () => Promise.reject(notHere("holds")),
    leave: () => ({ kind: "go" }),
  };

  const state: StatePorts = {
    process,
    startedAtMs: now(),
    activity,
    connections: ports.connections,
    inHand: (site) =>
      site === undefined
        ? inHand.count()
        : inHand.countOf((domain) => (sites.get(domain)?.id ?? domain) === site),
    limitsOf: parts.limitsOf ?? (() => []),
    holds: () => parts.holds?.list() ?? [],
    breakers: parts.breakers ?? (() => []),
    now,
  };
  const count = createCount({ scan: bus.queue.scan, siteOf: siteOfDomain, now });
  const useOf = (egress: string): Use => ({
    connections: parts.connectionsFrom?.(egress) ?? 0,
    lastMinute: activity.of("egress", egress),
  });
  const pools = () => parts.pools?.(useOf) ?? [];
  const rules = parts.rules ?? (() => []);
  const gauges = createGauges(ports.registry, {
    state: () => processState(state),
    count: () => count({ by: "organization", filter: {}, rowsMax: 1 }),
    pools,
    rules,
    now,
  });

  return {
    /** Remembers the site of each domain that it finds. */
    findPath,
    transcript: traces.transcript,
    isWithheld: withholding.isWithheld,
    /** Runs while an attempt is made. */
    begin: inHand.begin,

    /** Every outcome as it was decided. */
    see(observation: Observation): void {
      activity.see(observation, observation.explanation);
      gauges.see(observation);
    },

    /** Answers from now on. */
    answer: () =>
      answerQuestions({
        control: bus.control,
        state,
        count,
        lookup: {
          findPath,
          siteOf: (hosts) => siteOf(hosts, smtpPort),
          addressesOf: ports.addressesOf,
          ...(parts.policiesOf === undefined ? {} : { policiesOf: parts.policiesOf }),
        },
        act: { ...ports.act, queue: bus.queue, siteOf: siteOfDomain, now, log },
        withholding,
        traces,
        pools,
        rules,
        tryRules: parts.tryRules ?? (() => Promise.reject(notHere("rules"))),
        holds: parts.holds ?? noHolds,
      }),
    activity,
  };
}

const notHere = (what: string) =>
  new Failure("upstream.down", `this mta knows no ${what}`, { hint: `This mta knows no ${what}` });
