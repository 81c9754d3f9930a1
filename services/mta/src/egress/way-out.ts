import type { Bus } from "@tyto/bus";
import type { EgressState, PoolState } from "@tyto/contracts";
import type { Resolver } from "@tyto/dns";
import type { Log } from "@tyto/service";
import { every } from "../rounds.ts";
import { createWarming } from "../warming/warming.ts";
import { canBind } from "./bind.ts";
import { blocklists } from "./blocklists.ts";
import { createEgresses } from "./egresses.ts";
import type { EgressPlan } from "./plan.ts";
import { Reach } from "./reach.ts";
import { EgressWatch } from "./watch.ts";

export type WayOutPorts = {
  bus: Pick<Bus, "bucket" | "publish">;
  plan: EgressPlan;
  isStrict: boolean;
  resolver: Resolver;
  smtpPort: number;
  /** The pool that a rule sends an egress's mail to a site by; rules.poolFor. */
  poolFor?(egress: string, site: string): string | undefined;
  now: () => number;
  log: Pick<Log, "info" | "warn">;
};

/** What goes through an address of ours now. */
export type Use = Pick<EgressState, "connections" | "lastMinute">;

const namesEveryMs = 3_600_000;
const listsEveryMs = 900_000;
const saveEveryMs = 5_000;

/**
 * The addresses that mail leaves through: chooses one for each attempt, keeps new ones under their caps, and takes those out
 * that receivers refuse. Reads what earlier processes knew; checks run from now on until `stop`. Throws Failure
 * `upstream.down` when NATS cannot be reached.
 */
export async function startWayOut(ports: WayOutPorts) {
  const { bus, plan, isStrict, resolver, smtpPort, poolFor, now, log } = ports;
  const warmths = bus.bucket("WARMING");
  const quarantines = bus.bucket("QUARANTINES");
  const warming = createWarming({ egresses: plan.egresses, update: warmths.update });
  const watch = new EgressWatch({
    ...{ plan, isStrict, resolver, blocklists, canBind, quarantines, now, log },
    publish: bus.publish,
  });
  const reach = new Reach(smtpPort, log, now);
  const egresses = createEgresses({
    plan,
    leave: warming.leave,
    giveBack: warming.giveBack,
    quarantineOf: (id) => watch.quarantineOf(id),
    ...(poolFor === undefined ? {} : { poolFor }),
  });
  const watches = await Promise.all([
    warmths.watch(warming.restore),
    quarantines.watch((...told) => watch.restore(...told)),
  ]);

  const onError = (error: unknown) => log.warn("mta.egress-round-broke", { error });
  const timers = [
    every(namesEveryMs, () => watch.checkNames(), onError),
    every(listsEveryMs, () => watch.checkLists(), onError),
    every(saveEveryMs, () => warming.save(now()), onError),
  ];

  return {
    /** Through which address this goes now; what is not sent after all must be given back by the choice's `giveBack`. */
    choose: egresses.choose.bind(egresses),
    refusedSites: egresses.refusedSites.bind(egresses),
    refusedAt: egresses.refusedAt.bind(egresses),
    staysBecause: egresses.staysBecause.bind(egresses),
    see: warming.see,
    tried: reach.see.bind(reach),
    closed: reach.closed.bind(reach),
    /** What came back of mail that was sent through them; tells whether that is stored. */
    hear: warming.hear,

    /** Pools, their addresses and how these are, for operators. */
    pools(useOf: (egress: string) => Use): PoolState[] {
      const states = new Map(
        plan.egresses.map(({ since: _, id, ...egress }) => {
          const why = watch.quarantineOf(id);
          const warmth = warming.status(id, now());
          return [
            id,
            {
              egress: id,
              ...egress,
              ...(why === undefined ? { state: "in" as const } : { state: "out" as const, why }),
              ...useOf(id),
              checks: [...watch.checksOf(id), ...reach.checksOf(id)],
              ...(warmth === undefined ? {} : { warming: warmth }),
            },
          ];
        }),
      );
      return plan.pools.map(({ name, members }, at) => ({
        pool: name,
        isDefault: name === "default" || (at === 0 && plan.pools.every((pool) => pool.name !== "default")),
        egresses: members.flatMap(({ id, weight }) => {
          const state = states.get(id);
          return state === undefined ? [] : [{ ...state, weight }];
        }),
      }));
    },

    async stop(): Promise<void> {
      await Promise.all(timers.map((timer) => timer.stop()));
      try {
        await warming.save(now(), true);
      } catch (error) {
        // What was not used of today's caps is lost to the others: less is sent, never more.
        log.warn("mta.warming-not-saved", { error });
      }
      for (const one of watches) one.stop();
    },
  };
}

export type WayOut = Awaited<ReturnType<typeof startWayOut>>;
