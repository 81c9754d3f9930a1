import type { Bus } from "@tyto/bus";
import type { BreakerState, PoolState, QueueEntry, RuleState, SiteLimit } from "@tyto/contracts";
import type { Log, Registry } from "@tyto/service";
import type { Refused } from "../egress/egresses.ts";
import type { Closed } from "../egress/reach.ts";
import type { Use } from "../egress/way-out.ts";
import type { Addresses, Host, Path } from "../mx.ts";
import type { Observation, Wayless } from "../observation.ts";
import type { ActPorts } from "./act.ts";
import { createActivity } from "./activity.ts";
import { type AnswerPorts, answerQuestions } from "./answers.ts";
import { createCount } from "./count.ts";
import { createDomainSites } from "./domain-sites.ts";
import type { PoolMembers } from "./flow.ts";
import { createGauges } from "./gauges/gauges.ts";
import { createInHand } from "./in-hand.ts";
import type { LookupPorts } from "./lookup.ts";
import { processState, type StatePorts } from "./state.ts";
import { createTraces } from "./trace.ts";
import { createWaits } from "./waits.ts";
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
  /** Parts that know more. */
  parts: {
    policiesOf: NonNullable<LookupPorts["policiesOf"]>;
    limitsOf(site: string): SiteLimit[];
    /** Sites that are not open, and those that an address may not send to; some more than once. */
    limitedSites(): string[];
    /** Which addresses of ours may not send to the site now, and why. */
    refusedAt(site: string): Refused[];
    /** Addresses of ours that reach no server at all. */
    closed(): Closed[];
    /** Which addresses share the mail of each pool. */
    members: readonly PoolMembers[];
    askNext(site: string): number;
    limitSite: AnswerPorts["limitSite"];
    ceilingAt: AnswerPorts["ceilingAt"];
    breakers(): readonly BreakerState[];
    /** `useOf`: what goes through an address now. */
    pools(useOf: (egress: string) => Use): PoolState[];
    /** Open connections of an address, over all sites. */
    connectionsFrom(egress: string): number;
    rules(): RuleState[];
    tryRules: AnswerPorts["tryRules"];
    measures: AnswerPorts["measures"];
    holds: AnswerPorts["holds"];
  };
  registry: Registry;
  log: Pick<Log, "info" | "warn">;
  now: () => number;
};

export type Control = ReturnType<typeof createControl>;

/** The part of the mta that operators talk to: it looks on, counts, answers, and changes what they ask for. */
export function createControl(ports: ControlPorts) {
  const { bus, process, now, log, parts } = ports;
  const activity = createActivity(now);
  const waits = createWaits(now);
  const inHand = createInHand(now);
  const sites = createDomainSites(ports.findPath, ports.smtpPort);
  const withholding = createWithholding(ports.isInHand, now);
  const traces = createTraces({ process, hostsOf: sites.hostsOf, siteOfHost: sites.siteOfHost });
  const count = createCount({ scan: bus.queue.scan, siteOf: sites.siteOf, now });
  const pools = () =>
    parts.pools((egress) => ({
      connections: parts.connectionsFrom(egress),
      lastMinute: activity.of("egress", egress),
    }));
  const state: StatePorts = {
    ...{ process, startedAtMs: now(), activity, waits, connections: ports.connections, now },
    inHand: () => inHand.countBy(sites.idOf),
    limitsOf: parts.limitsOf,
    refusedAt: parts.refusedAt,
    closed: parts.closed,
    pools: parts.members,
    limitedSites: parts.limitedSites,
    holds: parts.holds.list,
    breakers: parts.breakers,
  };
  const gauges = createGauges(ports.registry, {
    state: () => processState(state),
    count: () => count({ by: "organization", filter: {}, rowsMax: 1 }),
    ...{ pools, rules: parts.rules, now },
  });

  return {
    /** Remembers the site of each domain that it finds. */
    findPath: sites.findPath,
    transcript: traces.transcript,
    isWithheld: withholding.isWithheld,
    /** Runs while an attempt is made. */
    begin: inHand.begin,

    /** Every outcome as it was decided. */
    see(observation: Observation): void {
      activity.see(observation, observation.explanation);
      waits.see(observation);
      gauges.see(observation);
    },
    /** What ended before there was a server. */
    seeNowhere(observation: Wayless): void {
      activity.seeNowhere(observation);
      waits.seeNowhere(observation);
    },
    /** What goes back into the queue without an attempt. */
    seeAway: waits.seeAway,

    /** Answers from now on. */
    answer: () =>
      answerQuestions({
        control: bus.control,
        ...{ state, count, withholding, traces, pools },
        lookup: {
          findPath: sites.findPath,
          siteOf: sites.siteOfHosts,
          addressesOf: ports.addressesOf,
          policiesOf: parts.policiesOf,
        },
        act: { ...ports.act, queue: bus.queue, siteOf: sites.siteOf, now, log },
        askNext: parts.askNext,
        limitSite: parts.limitSite,
        ceilingAt: parts.ceilingAt,
        rules: parts.rules,
        tryRules: parts.tryRules,
        measures: parts.measures,
        holds: parts.holds,
      }),
  };
}
