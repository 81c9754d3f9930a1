import { bucketKey, type SiteRecord } from "@tyto/contracts";
import { BoundedMap } from "@tyto/service";
import type { Profile, Profiles } from "./profiles.ts";
import { fit, newRow, type Row, recordOf, type SiteKey, takeOver } from "./row.ts";
import { hearOf } from "./throttle.ts";

/** Sites that are remembered, per process; the one that was asked for longest ago is forgotten first, and its record goes by age. */
const sitesMax = 10_000;
/** What was learned longer ago says nothing about today. */
const recordMsMax = 86_400_000;

/** The sites that are known, and what of them is not stored yet. */
export class Rows {
  readonly #profiles: Profiles;
  readonly #rows = new BoundedMap<string, Row>(sitesMax);
  /** Names of the rows of each site; some may be forgotten since. */
  readonly #bySite = new Map<string, Set<string>>();
  #indexed = 0;
  /** Rows that may have changed since they were stored. */
  readonly #touched = new Set<string>();

  constructor(profiles: Profiles) {
    this.#profiles = profiles;
  }

  get(key: SiteKey): Row | undefined {
    return this.#rows.get(keyOf(key));
  }

  /** The row of a site, a new one where it is not known, and the youngest from now on. */
  of(key: SiteKey, provider: string | undefined, nowMs: number): Row {
    const name = keyOf(key);
    let row = this.#rows.get(name);
    if (row === undefined)
      row = this.#add(name, newRow(key, provider, this.#profiles(key.site, provider), nowMs));
    else if (provider !== undefined) row.provider = provider;
    this.#rows.set(name, row);
    return row;
  }

  /** Of one site, for all our addresses; without it, all. */
  list(site?: string): Row[] {
    if (site === undefined) return [...this.#rows.values()];
    return [...(this.#bySite.get(site) ?? [])].flatMap((name) => this.#rows.get(name) ?? []);
  }

  /** Of rows that are there, and of some that are forgotten. */
  get namesKnown(): number {
    return this.#bySite.values().reduce((sum, names) => sum + names.size, 0);
  }

  #add(name: string, row: Row): Row {
    const { site } = row.key;
    if (this.#indexed >= 2 * sitesMax) this.#tidy();
    const names = this.#bySite.get(site) ?? new Set();
    this.#bySite.set(site, names.add(name));
    this.#indexed++;
    return row;
  }

  /** Drops the names of rows that are forgotten. */
  #tidy(): void {
    this.#indexed = 0;
    for (const [site, names] of this.#bySite) {
      for (const name of names) if (!this.#rows.has(name)) names.delete(name);
      this.#indexed += names.size;
      if (names.size === 0) this.#bySite.delete(site);
    }
  }

  profileOf({ key, provider }: Row): Profile {
    return this.#profiles(key.site, provider);
  }

  /** The profile as it is now, after the row goes by what an operator set, or that this is over. */
  fitted(row: Row, nowMs: number): Profile {
    const profile = this.profileOf(row);
    if (fit(row, profile, nowMs)) this.touch(row);
    return profile;
  }

  touch({ key }: Row): void {
    this.#touched.add(keyOf(key));
  }

  changes(max: number, nowMs: number): { key: string; record: SiteRecord | undefined }[] {
    const changed: { key: string; record: SiteRecord | undefined }[] = [];
    for (const name of this.#touched) {
      if (changed.length >= max) break;
      this.#touched.delete(name);
      const row = this.#rows.get(name);
      if (row === undefined) continue;
      const record = recordOf(row, this.profileOf(row), nowMs);
      const stored = textOf(record);
      if (row.stored === stored) continue;
      row.stored = stored;
      changed.push({ key: bucketKey(row.key.egress, row.key.site), record });
    }
    return changed;
  }

  /** From another process: own records come back as they were stored, and tell nothing. */
  hear(record: SiteRecord, nowMs: number): void {
    const row = this.#rows.get(keyOf(record));
    if (row?.stored === textOf(record)) return;
    const known = row ?? this.of({ egress: record.egress, site: record.site }, record.provider, nowMs);
    if (hearOf(known.throttle, record, nowMs))
      known.stored = textOf(recordOf(known, this.profileOf(known), nowMs));
  }

  restore(record: SiteRecord, nowMs: number): void {
    if (nowMs - record.savedAtMs > recordMsMax) return;
    const row = this.of({ egress: record.egress, site: record.site }, record.provider, nowMs);
    takeOver(row, record, this.profileOf(row));
    row.stored = textOf(record);
  }
}

const keyOf = ({ egress, site }: SiteKey) => `${egress}/${site}`;

/** What differs when something was learned. */
const textOf = (record: SiteRecord | undefined) =>
  record === undefined ? "" : JSON.stringify({ ...record, savedAtMs: 0 });
