import type { Bus } from "@tyto/bus";
import {
  type ControlAnswer,
  type ControlRequest,
  type DeliveryId,
  Failure,
  type Hold,
  type Measure,
  type PoolState,
  pausePrefix,
  type SiteCeiling,
} from "@tyto/contracts";
import type { Holds } from "../holds/holds.ts";
import { type ActPorts, createAct } from "./act.ts";
import { BringBack } from "./bring-back.ts";
import { flowOf } from "./flow.ts";
import { createLookup, type LookupPorts } from "./lookup.ts";
import { processState, type StatePorts, siteState, waitOf } from "./state.ts";
import type { Traces } from "./trace.ts";
import type { Withholding } from "./withhold.ts";

export type AnswerPorts = {
  control: Bus["control"];
  state: StatePorts;
  count(request: ControlRequest<"mta.queue">): Promise<ControlAnswer<"mta.queue">>;
  lookup: LookupPorts;
  act: Omit<ActPorts, "withhold">;
  withholding: Withholding;
  traces: Traces;
  /** Where we send from, as it is looked at now. */
  pools(): PoolState[];
  /** Has a suspended site asked by the next message. */
  askNext(site: string): number;
  rules(): ControlAnswer<"mta.rules">["rules"];
  tryRules(request: ControlRequest<"mta.rules-trial">): Promise<ControlAnswer<"mta.rules-trial">>;
  limitSite(wanted: ControlRequest<"mta.limit-site">): Promise<Measure>;
  ceilingAt(site: string): SiteCeiling;
  /** What rules and operators do with the mail of sites. */
  measures: { list(): Measure[]; release(key: string): Promise<boolean> };
  holds: {
    list(): Hold[];
    hold(hold: ControlRequest<"mta.hold">): Promise<Hold>;
    release(key: string, by: string): Promise<boolean>;
    leave: Holds["leave"];
  };
};

/** Answers what the gateway asks of a running mta, and what mta processes ask each other. */
export function answerQuestions(ports: AnswerPorts): { stop(): Promise<void> } {
  const { control, state, withholding, traces, holds, measures, act } = ports;
  const { activity } = state;

  /** What any process has in hand of these; nothing is changed when one of them does not say. */
  const withhold = async (deliveryIds: readonly DeliveryId[], forMs: number) => {
    const { answers, silent } = await control.askAll("mta.withhold", {
      deliveryIds: [...deliveryIds],
      forMs,
    });
    if (answers.length === 0 || silent > 0)
      throw new Failure("upstream.down", `${silent} mta processes did not say what they have in hand`, {
        hint: "Not every mta process answers; nothing more was changed. Try again",
        retryAfterS: 5,
      });
    return new Set(answers.flatMap(({ inHand }) => inHand));
  };
  const actOn = createAct({ ...act, withhold });
  const bringBack = new BringBack({
    ...{ act: actOn, leave: holds.leave, now: act.now, log: act.log },
    isLeftAlone: (site) => flowOf(state.limitsOf(site)).state === "suspended",
  });
  const lookUp = createLookup(ports.lookup);

  const answering = [
    control.answer("mta.queue", ports.count),
    control.answer("mta.state", async () => processState(state)),
    control.answer("mta.act", async (request) => {
      if (request.pool !== undefined) mustBeThere(request.pool, ports.pools());
      return actOn(request);
    }),
    control.answer("mta.withhold", async ({ deliveryIds, forMs }) => ({
      inHand: withholding.withhold(deliveryIds, forMs),
    })),
    control.answer("mta.site", lookUp),
    control.answer("mta.replies", async ({ site }) => {
      const known = siteState(state, site);
      const wait = waitOf(state, site);
      return {
        ...(known === undefined ? {} : { state: known }),
        ...(wait === undefined ? {} : { wait }),
        ...{ replies: activity.replies(site), ceiling: ports.ceilingAt(site) },
      };
    }),
    control.answer("mta.ask-site", async ({ site, by }) => {
      const rows = ports.askNext(site);
      if (rows > 0) act.log.info("mta.site-asked", { site, by, rows });
      return { rows };
    }),
    control.answer("mta.limit-site", ports.limitSite),
    control.answer("mta.pools", async () => ({ process: state.process, pools: ports.pools() })),
    control.answer("mta.rules", async () => ({ rules: ports.rules() })),
    control.answer("mta.rules-trial", ports.tryRules),
    control.answer("mta.holds", async () => ({ holds: holds.list(), measures: measures.list() })),
    control.answer("mta.hold", holds.hold),
    control.answer("mta.release", async ({ key, by }) => {
      const site = siteOfPause(key) ?? measures.list().find((one) => one.key === key)?.site;
      if (siteOfPause(key) !== undefined || (await measures.release(key))) {
        act.log.info("mta.measure-released", { measure: key, by });
        if (site !== undefined) bringBack.release({ key, scope: "site", id: site });
        return { wasHeld: true };
      }
      const hold = holds.list().find((one) => one.key === key);
      const wasHeld = await holds.release(key, by);
      if (wasHeld && hold !== undefined) bringBack.release(hold);
      return { wasHeld };
    }),
    control.answerOften("mta.trace", ({ domain }, say, ended) => traces.follow(domain, say, ended)),
  ];
  return {
    async stop() {
      for (const one of answering) one.stop();
      await bringBack.stop();
    },
  };
}

/** The pause itself is ended by `mta.ask-site`, in every process; one of them brings the mail back. */
const siteOfPause = (key: string): string | undefined =>
  key.startsWith(pausePrefix) ? key.slice(pausePrefix.length) : undefined;

/** Mail that is bound to a pool that nobody has would go its old way, and nobody would know. */
function mustBeThere(wanted: string, pools: readonly PoolState[]): void {
  const names = pools.map(({ pool }) => pool);
  if (!names.includes(wanted))
    throw new Failure("request.invalid", `no pool ${wanted}`, {
      hint: `There is no pool ${wanted}; the pools are ${names.join(", ")}. Nothing was changed`,
    });
}
