/** All that can keep a message from leaving now, wired together: holds, breakers, rules and the limits of sites. */
import type { Bus } from "@tyto/bus";
import {
  type ControlRequest,
  Failure,
  isProvider,
  type Measure,
  type QueueEntry,
  type SiteCeiling,
  siteLimitBounds,
} from "@tyto/contracts";
import type { Log } from "@tyto/service";
import { type BreakerPorts, type Breakers, createBreakers } from "./breakers/breakers.ts";
import { createHolds, type Holds } from "./holds/holds.ts";
import { remember } from "./memory.ts";
import type { Leave, Observation } from "./observation.ts";
import type { GiveUp } from "./outcome.ts";
import { every } from "./rounds.ts";
import { applyEffects } from "./rules/effects.ts";
import type { RuleSet } from "./rules/file.ts";
import { createRules, type Rules } from "./rules/rules.ts";
import { tryRules } from "./rules/trial.ts";
import type { Profiles } from "./shaping/profiles.ts";
import { ceilingOf, mustBeWithin, withSetLimits } from "./shaping/set-limits.ts";
import { createShaping, type Shaping, type ShapingPorts } from "./shaping/shaping.ts";
import type { Site } from "./site.ts";

export type GatePorts = {
  bus: Pick<Bus, "bucket" | "publish" | "past">;
  profiles: Profiles;
  rules: RuleSet;
  shareOf?: ShapingPorts["shareOf"];
  /** The part of the trials after a hold that is this process's; breakers.ts. */
  trialsOf?: BreakerPorts["trialsOf"];
  onTrialsWanted?: BreakerPorts["onTrialsWanted"];
  pauseFirstMs?: number;
  now: () => number;
  /** From 0 up to 1. */
  random: () => number;
  log: Pick<Log, "info" | "warn">;
};

export type Gates = {
  shaping: Shaping;
  rules: Rules;
  breakers: Breakers;
  holds: Holds;
  /** What rules would have done to past events; answers `mta.rules-trial`. */
  tryRules: ReturnType<typeof tryRules>;
  /** The most that the site is given from one address, whatever was set for now. */
  ceilingAt(site: string): SiteCeiling;
  /** Limits that an operator sets for a site until a time; answers `mta.limit-site`. Throws Failure. */
  limitSite(wanted: ControlRequest<"mta.limit-site">): Promise<Measure>;
  /** May this be sent to the site from this address, by holds and breakers? Takes nothing, but a place in a breaker's trial. */
  isFree(
    entry: Pick<QueueEntry, "deliveryId" | "organizationId" | "campaign" | "recipient">,
    site: string,
  ): Leave;
  /** Tells all of them what an attempt came to. */
  see(observation: Observation): void;
  /** For `settle`: why a rule gives up what this site put off. */
  giveUp(site: Pick<Site, "id" | "provider">): GiveUp;
  stop(): Promise<void>;
};

/** The clock of who asks may be a little ahead. */
const clockSkewS = 60;
const expireEveryMs = 5_000;
const tidyEveryMs = 1_000;
/** What other processes counted is known after so long; an organisation or campaign is written so often at most. */
const countEveryMs = 1_000;

/** Resolves when holds are known and what an earlier process learned is read. Throws Failure `upstream.down`. */
export async function openGates(ports: GatePorts): Promise<Gates> {
  const { bus, profiles, now, random, log } = ports;
  const { rules: written, shipped } = ports.rules;
  const holds = await createHolds({ bucket: bus.bucket("HOLDS"), publish: bus.publish, now, random, log });
  const shaping = createShaping({
    profiles: withSetLimits(profiles, (site) => rules.limitOf(site)),
    now,
    random,
    ...(ports.pauseFirstMs === undefined ? {} : { pauseFirstMs: ports.pauseFirstMs }),
    ...(ports.shareOf === undefined ? {} : { shareOf: ports.shareOf }),
  });
  const measures = bus.bucket("MEASURES");
  const rules: Rules = createRules({
    ...{ rules: written, shipped, bucket: measures, now, log },
    apply: applyEffects(shaping, holds, log),
  });
  const counts = bus.bucket("BREAKERS");
  const breakers = createBreakers({
    ...{ bucket: counts, hold: holds.hold, now, random, log },
    ...(ports.trialsOf === undefined ? {} : { trialsOf: ports.trialsOf }),
    ...(ports.onTrialsWanted === undefined ? {} : { onTrialsWanted: ports.onTrialsWanted }),
  });
  holds.onReleased(breakers.released);

  // First: what was learned of a site is taken over within the limits that an operator set for it.
  const ruled = await measures.watch(rules.restore);
  const [memory, counted] = await Promise.all([
    remember(bus.bucket("SITES"), shaping, log),
    counts.watch((_, record, revision) => {
      if (record !== undefined) breakers.restore(record, revision);
    }),
  ]);
  const rounds = [
    every(countEveryMs, breakers.save, (error) => log.warn("mta.breakers-not-stored", { error })),
    every(tidyEveryMs, rules.tidy, (error) => log.warn("mta.measures-not-stored", { error })),
    every(expireEveryMs, holds.expire, (error) => log.warn("mta.holds-not-ended", { error })),
  ];

  const ceilingAt: Gates["ceilingAt"] = (site) =>
    ceilingOf(profiles(site, isProvider(site) ? site : undefined));
  const isFree: Gates["isFree"] = (entry, site) => {
    const held = holds.leave(entry, site);
    return held.kind === "wait" ? held : breakers.leave(entry);
  };
  return {
    shaping,
    rules,
    breakers,
    holds,
    tryRules: tryRules(bus.past, written),
    ceilingAt,
    async limitSite(wanted) {
      const { site, rate, connectionsMax, untilMs } = wanted;
      if (rate === undefined && connectionsMax === undefined)
        throw new Failure("request.invalid", "limits of a site need a rate, connections, or both");
      const lastsS = (untilMs - now()) / 1_000;
      if (lastsS <= 0 || lastsS > siteLimitBounds.forSMax + clockSkewS)
        throw new Failure("request.invalid", "limits of a site end in the future, within a day");
      if (!wanted.isAboveCeiling) mustBeWithin(ceilingAt(site), site, wanted);
      const measure = await rules.limit(wanted);
      log.info("mta.site-limited", { site, by: wanted.by, rate, connections: connectionsMax });
      return measure;
    },
    isFree,
    see(observation) {
      shaping.see(observation);
      breakers.see(observation);
      // Last: what a rule does to the site stands above what the site's limits made of the same reply.
      rules.see(observation);
    },
    giveUp: (site) => (reason, reply) => rules.bounces(site, reason, reply),
    async stop() {
      await Promise.all(rounds.map((round) => round.stop()));
      await breakers.save();
      breakers.endTrials();
      counted.stop();
      ruled.stop();
      await memory.stop();
      holds.stop();
    },
  };
}
