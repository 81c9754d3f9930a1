import { bucketKey, type ControlRequest, Failure, type Measure, measuresMax } from "@tyto/contracts";
import { type JointPorts, JointRecords } from "../joint-records.ts";
import { type SetLimit, setLimitOf } from "../shaping/set-limits.ts";
import type { Effect } from "./engine.ts";

export type MeasurePorts = {
  /** Where all processes keep them. */
  bucket: JointPorts<Measure>["bucket"];
  /** One of a rule's began, or ended: by its time, or by a person. */
  onBegun(measure: Measure): void;
  onEnded(measure: Measure): void;
  now: () => number;
  log: JointPorts<Measure>["log"];
};

/**
 * What is done with the mail of sites until a time: by rules, that it leaves by another pool or is given up; by operators, that there is
 * no more of it than so. All processes do it from the moment when one of them begins, a restart goes on with it, and a person can end it
 * for all.
 */
export class Measures {
  readonly #ports: MeasurePorts;
  readonly #records: JointRecords<Measure>;
  /** By address and site: each attempt asks. */
  readonly #switches = new Map<string, Measure>();
  /** By site. */
  readonly #limits = new Map<string, SetLimit & { untilMs: number }>();

  constructor(ports: MeasurePorts) {
    this.#ports = ports;
    this.#records = new JointRecords<Measure>({
      bucket: ports.bucket,
      onChange: (_key, measure, before) => this.#changed(measure, before),
      log: ports.log,
    });
  }

  /** What the rule wants done is done from now on. Another process may have begun it a moment ago: then it is that one's. */
  async begin({ rule, action, egress, site, pool, why, atMs, untilMs }: Effect): Promise<void> {
    if (action !== "switch-pool" && action !== "bounce") return;
    const whose = action === "switch-pool" ? egress : rule;
    const key = bucketKey(action, whose, site);
    const measure: Measure = {
      ...{ key: `${action}:${whose}/${site}`, action, rule, site, why, sinceMs: atMs, untilMs },
      ...(pool === undefined ? {} : { egress, pool }),
    };
    if (this.#isFullFor(key)) {
      this.#ports.log.warn("mta.rule-not-stored", { rule, site, hint: `${measuresMax} are in force` });
      return;
    }
    await this.#records.change(key, (present) =>
      present !== undefined && present.untilMs > atMs && present.rule === rule ? present : measure,
    );
  }

  /** An operator's limits of a site, in place of those before. Throws Failure `limit.exceeded` or `upstream.down`. */
  async limit({ isAboveCeiling: _, ...wanted }: ControlRequest<"mta.limit-site">): Promise<Measure> {
    const { site } = wanted;
    const key = bucketKey("limit", site);
    if (this.#isFullFor(key))
      throw new Failure("limit.exceeded", `${measuresMax} measures are in force already: release some`);
    const measure: Measure = {
      ...{ key: `limit:${site}`, action: "limit" as const, sinceMs: this.#ports.now() },
      ...wanted,
    };
    if (!(await this.#records.change(key, () => measure)))
      throw new Failure("upstream.down", `the limits of ${site} are not stored yet`, {
        hint: "The limits could not be stored yet, which is tried again: tyto site tells whether they are in force",
      });
    return measure;
  }

  #isFullFor(key: string): boolean {
    return this.#records.get(key) === undefined && this.#records.list().length >= measuresMax;
  }

  /** What an operator set for a site. */
  limitOf(site: string): SetLimit | undefined {
    if (this.#limits.size === 0) return undefined;
    const found = this.#limits.get(site);
    return found === undefined || found.untilMs <= this.#ports.now() ? undefined : found;
  }

  /** The switch of an address's mail to a site. */
  switchOf(egress: string, site: string): Measure | undefined {
    if (this.#switches.size === 0) return undefined;
    const found = this.#switches.get(`${egress} ${site}`);
    return found === undefined || found.untilMs <= this.#ports.now() ? undefined : found;
  }

  /** Those in force, the newest first. */
  list(): Measure[] {
    const nowMs = this.#ports.now();
    return this.#records
      .list()
      .flatMap(([, measure]) => (measure.untilMs > nowMs ? [measure] : []))
      .toSorted((one, other) => other.sinceMs - one.sinceMs);
  }

  /** Ends one for all processes. False when there was none; rejects when it could not be stored. */
  async release(wanted: string): Promise<boolean> {
    const found = this.#records.list().find(([, { key }]) => key === wanted);
    if (found === undefined) return false;
    const [key, measure] = found;
    await this.#records.change(key, (present) =>
      present?.sinceMs === measure.sinceMs && present.rule === measure.rule ? undefined : present,
    );
    return measure.untilMs > this.#ports.now();
  }

  /** Removes those whose time is over, and stores what could not be stored before. */
  async tidy(): Promise<void> {
    const nowMs = this.#ports.now();
    for (const [key, { untilMs }] of this.#records.list())
      if (untilMs <= nowMs)
        void this.#records.change(key, (present) =>
          present !== undefined && present.untilMs <= nowMs ? undefined : present,
        );
    await this.#records.save();
  }

  /** What the bucket holds, from its watch. */
  restore(key: string, measure: Measure | undefined, revision: number): void {
    this.#records.restore(key, measure, revision);
  }

  #changed(measure: Measure | undefined, before: Measure | undefined): void {
    if (before?.egress !== undefined) this.#switches.delete(`${before.egress} ${before.site}`);
    if (measure?.egress !== undefined) this.#switches.set(`${measure.egress} ${measure.site}`, measure);
    if (before?.action === "limit") this.#limits.delete(before.site);
    if (measure?.action === "limit")
      this.#limits.set(measure.site, { ...setLimitOf(measure), untilMs: measure.untilMs });
    if (before?.rule !== undefined && before.rule !== measure?.rule) this.#ports.onEnded(before);
    if (measure?.rule !== undefined) this.#ports.onBegun(measure);
  }
}
