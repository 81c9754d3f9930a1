/** What an operator asks and does, over the mta processes that run. The views of the HTTP API come out. */
import type {
  ControlAnswer,
  HoldAdd,
  QueueAction,
  QueueQuery,
  RuleTrialRequest,
  SiteLimitSet,
} from "@tyto/contracts";
import type { z } from "zod";
import { type ActRequest, act, addHold, hold, listHolds, release, releaseHold, requeue } from "./acting.ts";
import { listPools, listRules, listSites, tryRules, viewQueue } from "./looking.ts";
import type { OperationPorts } from "./ports.ts";
import { viewSite } from "./site.ts";
import { limitSite, releaseSite } from "./site-limits.ts";

export type Operation = ReturnType<typeof createOperation>;

export const createOperation = (ports: OperationPorts) => ({
  queue: (query: z.infer<typeof QueueQuery>) => viewQueue(ports, query),
  act: (action: Exclude<QueueAction, "requeue">, request: ActRequest, by: string) =>
    act(ports, action, request, by),
  requeue: (request: ActRequest, by: string) => requeue(ports, request, by),
  /** A single scope is held as such; other conditions put the entries off. */
  hold: (request: ActRequest & { why: string; for_s?: number | undefined }, by: string) =>
    hold(ports, request, by),
  release: (request: ActRequest, by: string) => release(ports, request, by),
  sites: () => listSites(ports),
  /** Of a domain, or of a site's id: its servers are those of the domain that it answered for last. */
  site: (name: string) => viewSite(ports, name),
  /** Limits of a site, or of that of a domain, until a time. */
  limitSite: (name: string, wanted: z.infer<typeof SiteLimitSet>, by: string) =>
    limitSite(ports, name, wanted, by),
  releaseSite: (name: string, by: string) => releaseSite(ports, name, by),
  pools: () => listPools(ports),
  rules: () => listRules(ports),
  tryRules: (trial: z.infer<typeof RuleTrialRequest>) => tryRules(ports, trial),
  holds: () => listHolds(ports),
  addHold: (wanted: z.infer<typeof HoldAdd>, by: string) => addHold(ports, wanted, by),
  releaseHold: (key: string, by: string) => releaseHold(ports, key, by),
  /** Lines of SMTP sessions to a domain, site or host as they are said, until the signal or ten minutes. */
  trace: (domain: string, onLines: (told: ControlAnswer<"mta.trace">) => void, signal: AbortSignal) =>
    ports.control.follow("mta.trace", { domain }, onLines, signal),
});
