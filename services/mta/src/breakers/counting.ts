import type { Bucket } from "@tyto/bus";
import { type BreakerRecord, bucketKey } from "@tyto/contracts";
import { BoundedMap, type Log } from "@tyto/service";
import { campaignId, type NewHold } from "../holds/holds.ts";
import type { Owner } from "../origin.ts";
import type { Opening } from "./breaker.ts";
import { JointBreaker } from "./joint.ts";
import { Senders } from "./senders.ts";

export type CountingPorts = {
  /** Where all processes count together. */
  bucket: Pick<Bucket<"BREAKERS">, "update" | "find">;
  /** Stops sending; holds.hold. */
  hold(hold: NewHold): Promise<unknown>;
  now: () => number;
  log: Pick<Log, "warn">;
};

type Scope = BreakerRecord["scope"];

/** Organisations and campaigns that are counted; the one that sent longest ago is forgotten first. */
const breakersMax = 5_000;
/** Records that one `save` stores; the others wait for the next. */
const recordsPerSaveMax = 200;
/** Other processes were first so often: it waits for the next save. */
const updateTriesMax = 8;

/** The breakers that this process counts for: finds them, holds when one opens, and stores what was counted. */
export class Counting {
  readonly senders = new Senders(breakersMax);
  readonly #ports: CountingPorts;
  readonly #breakers = new BoundedMap<string, JointBreaker>(breakersMax);
  /** Those that have something to store. */
  readonly #unsaved = new Map<string, JointBreaker>();

  constructor(ports: CountingPorts) {
    this.#ports = ports;
  }

  all(): JointBreaker[] {
    return [...this.#breakers.values()];
  }

  get(scope: Scope, id: string): JointBreaker | undefined {
    return this.#breakers.get(keyOf(scope, id));
  }

  /** The campaign's, where there is one, before the organisation's. */
  of(owner: Owner): JointBreaker[] {
    const { organizationId, campaign } = owner;
    const organization = this.#find("organization", organizationId, { organizationId });
    if (campaign === undefined) return [organization];
    return [this.#find("campaign", campaignId(organizationId, campaign), owner), organization];
  }

  /**
   * A campaign is judged before its organisation. When it is stopped, the organisation's count starts anew: else its other mail,
   * the transactional too, would stop with the one bad list that is stopped already.
   */
  add(breakers: readonly JointBreaker[], count: (joint: JointBreaker, nowMs: number) => Opening | undefined) {
    const nowMs = this.#ports.now();
    for (const joint of breakers) {
      const opening = count(joint, nowMs);
      this.touch(joint);
      if (opening !== undefined) return this.#act(joint, opening);
    }
  }

  /** It may have something to store. */
  touch(joint: JointBreaker): void {
    if (!joint.isStored) this.#unsaved.set(keyOf(joint.scope, joint.id), joint);
  }

  /** What the bucket holds of one, from its watch. */
  restore(record: BreakerRecord, revision: number): void {
    const { scope, id, organizationId } = record;
    const campaign = scope === "campaign" ? { campaign: id.slice(organizationId.length + 1) } : {};
    this.#find(scope, id, { organizationId, ...campaign }).restore(record, revision, this.#ports.now());
  }

  /** Campaigns go before their organisations, which a campaign that is stopped makes begin anew. */
  async save(): Promise<void> {
    const turn = [...this.#unsaved].slice(0, recordsPerSaveMax);
    for (const [key] of turn) this.#unsaved.delete(key);
    for (const scope of ["campaign", "organization"] as const)
      await Promise.all(turn.flatMap(([, joint]) => (joint.scope === scope ? [this.#store(joint)] : [])));
  }

  async #store(joint: JointBreaker): Promise<void> {
    const { bucket, now, log } = this.#ports;
    const { scope, id } = joint;
    const key = bucketKey(scope, id);
    try {
      for (let tries = 0; tries < updateTriesMax; tries++) {
        const revision = await bucket.update(key, joint.begin(now()), joint.revision);
        if (revision !== undefined) return joint.stored(revision, now());
        joint.notStored();
        const found = await bucket.find(key);
        this.#act(joint, joint.merge(found?.value, found?.revision ?? 0, now()));
      }
    } catch (error) {
      // If it was stored all the same, messages count twice and reports, which have ids, once: rather too strict.
      joint.notStored();
      log.warn("mta.breaker-not-stored", { scope, id, error });
    }
    joint.giveUp();
    this.touch(joint);
  }

  #act(joint: JointBreaker, opening: Opening | undefined): void {
    if (opening === undefined) return;
    const { hold, now, log } = this.#ports;
    const { scope, id, organizationId } = joint;
    const { kind, why, forMs } = opening;
    this.touch(joint);
    if (scope === "campaign") {
      const organization = this.#find("organization", organizationId, { organizationId });
      organization.forget();
      this.touch(organization);
    }
    hold({ scope, id, why, by: `breaker:${kind}`, untilMs: now() + forMs }).catch((error: unknown) =>
      log.warn("mta.breaker-without-hold", { scope, id, why, error }),
    );
  }

  #find(scope: Scope, id: string, { organizationId, campaign }: Owner): JointBreaker {
    const key = keyOf(scope, id);
    let joint = this.#breakers.get(key);
    if (joint === undefined) {
      joint = new JointBreaker({ scope, id, organizationId });
      this.senders.add(campaign === undefined ? { organizationId } : { organizationId, campaign });
    }
    this.#breakers.set(key, joint);
    return joint;
  }
}

const keyOf = (scope: Scope, id: string) => `${scope}:${id}`;
