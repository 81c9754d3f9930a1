/** What several mta processes told, as one: numbers add up, and the state that lets least through is shown with its reason. */
import {
  type ControlAnswer,
  type FlowState,
  flowStates,
  type GroupState,
  type LastMinute,
  noTraffic,
  type PoolState,
  type ProcessState,
  portCheck,
  type RecentReply,
  type SiteLimit,
  type SiteState,
  type WaitReason,
} from "@tyto/contracts";

export const addMinutes = (minutes: readonly LastMinute[]): LastMinute =>
  minutes.reduce(
    (sum, { delivered, deferred, bounced }) => ({
      delivered: sum.delivered + delivered,
      deferred: sum.deferred + deferred,
      bounced: sum.bounced + bounced,
    }),
    noTraffic,
  );

type Flow = { state: FlowState; untilMs?: number | undefined; why?: string | undefined };

/** Each process has learned by itself: the strictest, and whoever has a reason, knows something that the others do not know yet. */
function strictest<F extends Flow>(flows: readonly F[]): Flow {
  const [worst] = flows.toSorted(
    (one, other) =>
      flowStates.indexOf(other.state) - flowStates.indexOf(one.state) ||
      Number(other.why !== undefined) - Number(one.why !== undefined),
  );
  const { state = "open", untilMs, why } = worst ?? {};
  return { state, ...(untilMs === undefined ? {} : { untilMs }), ...(why === undefined ? {} : { why }) };
}

const sumOf = <T>(list: readonly T[], value: (one: T) => number) =>
  list.reduce((sum, one) => sum + value(one), 0);

export function mergeSites(processes: readonly Pick<ProcessState, "sites">[]): SiteState[] {
  const bySite = Map.groupBy(
    processes.flatMap(({ sites }) => sites),
    ({ site }) => site,
  );
  return [...bySite.values()].flatMap((states) => mergeSite(states) ?? []);
}

export function mergeSite(states: readonly SiteState[]): SiteState | undefined {
  const [first] = states;
  if (first === undefined) return undefined;
  const provider = states.find((one) => one.provider !== undefined)?.provider;
  return {
    site: first.site,
    ...(provider === undefined ? {} : { provider }),
    ...strictest(states),
    connections: sumOf(states, ({ connections }) => connections),
    inHand: sumOf(states, ({ inHand }) => inHand),
    lastMinute: addMinutes(states.map(({ lastMinute }) => lastMinute)),
    limits: mergeLimits(states.flatMap(({ limits }) => limits)),
  };
}

function mergeLimits(limits: readonly SiteLimit[]): SiteLimit[] {
  const sum = (list: readonly SiteLimit[], name: "connections" | "ratePerMinute") => {
    const values = list.flatMap((one) => one[name] ?? []);
    return values.length === 0 ? {} : { [name]: sumOf(values, (value) => value) };
  };
  /** A limit is one of all processes together; each has learned it for itself. */
  const highest = (list: readonly SiteLimit[], name: "connectionsMax" | "ratePerMinuteMax") => {
    const values = list.flatMap((one) => one[name] ?? []);
    return values.length === 0 ? {} : { [name]: Math.max(...values) };
  };
  return [...Map.groupBy(limits, ({ egress }) => egress)].map(([egress, list]) => {
    const messages = list.find((one) => one.messagesPerConnection !== undefined)?.messagesPerConnection;
    const pool = list.find((one) => one.pool !== undefined)?.pool;
    return {
      egress,
      ...strictest(list),
      ...sum(list, "connections"),
      ...highest(list, "connectionsMax"),
      ...sum(list, "ratePerMinute"),
      ...highest(list, "ratePerMinuteMax"),
      ...(messages === undefined ? {} : { messagesPerConnection: messages }),
      ...(pool === undefined ? {} : { pool }),
    };
  });
}

export function mergeGroups(groups: readonly GroupState[]): Map<string, GroupState> {
  const byKey = Map.groupBy(groups, ({ key }) => key);
  return new Map(
    [...byKey].map(([key, list]) => [
      key,
      { key, ...strictest(list), lastMinute: addMinutes(list.map(({ lastMinute }) => lastMinute)) },
    ]),
  );
}

/** By place, what the process that heard something last tells. */
export const mergeWaits = (
  processes: readonly { waits?: readonly WaitReason[] | undefined }[],
): Map<string, WaitReason> =>
  new Map(
    processes
      .flatMap(({ waits = [] }) => waits)
      .toSorted((one, other) => one.atMs - other.atMs)
      .map((wait) => [wait.place, wait]),
  );

const repliesMax = 50;

/** The newest first. */
export const mergeReplies = (replies: readonly RecentReply[]): RecentReply[] =>
  replies.toSorted((one, other) => other.atMs - one.atMs).slice(0, repliesMax);

type Check = PoolState["egresses"][number]["checks"][number];

/** Each process asks servers of its own: where one of them was answered at port 25, it is open. */
function withPort(checks: readonly Check[], all: readonly { checks: readonly Check[] }[]): Check[] {
  const ofPort = all.flatMap((one) => one.checks.find(({ name }) => name === portCheck) ?? []);
  const port = ofPort.find(({ ok }) => ok) ?? ofPort[0];
  return [...checks.filter(({ name }) => name !== portCheck), ...(port === undefined ? [] : [port])];
}

/** Pools are the same everywhere; what goes through them adds up. */
export function mergePools(answers: readonly ControlAnswer<"mta.pools">[]): PoolState[] {
  const byPool = Map.groupBy(
    answers.flatMap(({ pools }) => pools),
    ({ pool }) => pool,
  );
  return [...byPool.values()].flatMap((states) => {
    const [first] = states;
    if (first === undefined) return [];
    const byEgress = Map.groupBy(
      states.flatMap(({ egresses }) => egresses),
      ({ egress }) => egress,
    );
    return {
      ...first,
      egresses: [...byEgress.values()].flatMap((list) => {
        const one = list.find(({ state }) => state === "out") ?? list[0];
        if (one === undefined) return [];
        return {
          ...one,
          connections: sumOf(list, ({ connections }) => connections),
          lastMinute: addMinutes(list.map(({ lastMinute }) => lastMinute)),
          checks: withPort(one.checks, list),
        };
      }),
    };
  });
}
