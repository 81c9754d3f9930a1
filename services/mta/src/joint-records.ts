import type { Log } from "@tyto/service";

/** What is to become of a record: of what is stored, a new value; the same one leaves it; `undefined` removes it. */
type Change<V> = (present: V | undefined) => V | undefined;

export type JointPorts<V> = {
  /** A bucket's, with the revision that it was seen at. */
  bucket: {
    update(key: string, value: V | undefined, revision: number): Promise<number | undefined>;
    find(key: string): Promise<{ value: V | undefined; revision: number } | undefined>;
  };
  /** A record is another one now, by this process or by another. */
  onChange?(key: string, value: V | undefined, before: V | undefined): void;
  log: Pick<Log, "warn">;
};

/** Other processes were first so often: it waits for the next `save`. */
const updateTriesMax = 8;
/** Changes of one record that wait to be stored; beyond it the oldest is given up. */
const pendingMax = 32;

type Slot<V> = {
  stored: V | undefined;
  revision: number;
  /** As this process sees it: what is stored, with its own changes. */
  shown: V | undefined;
  pending: Change<V>[];
  writing: Promise<void> | undefined;
  /** The watch told it while it was not known what became of an own update. */
  news: { value: V | undefined; revision: number } | undefined;
};

/**
 * Records of a bucket that all mta processes change in turns, by compare-and-set. A change counts here at once; where another process
 * was first, it is asked again what it makes of that one's record. Every process knows all records by `restore`.
 */
export class JointRecords<V extends object> {
  readonly #ports: JointPorts<V>;
  readonly #slots = new Map<string, Slot<V>>();

  constructor(ports: JointPorts<V>) {
    this.#ports = ports;
  }

  get(key: string): V | undefined {
    return this.#slots.get(key)?.shown;
  }

  /** All records with their keys. */
  list(): [key: string, value: V][] {
    return [...this.#slots].flatMap(([key, { shown }]) => (shown === undefined ? [] : [[key, shown]]));
  }

  /** Resolves when it was tried to store it: to true, or to false while it is not. */
  async change(key: string, change: Change<V>): Promise<boolean> {
    const slot = this.#slotOf(key);
    slot.pending.push(change);
    if (slot.pending.length > pendingMax) slot.pending.shift();
    this.#show(key, slot);
    await this.#store(key, slot);
    return !slot.pending.includes(change);
  }

  /** What the bucket holds, from its watch. */
  restore(key: string, value: V | undefined, revision: number): void {
    const slot = this.#slotOf(key);
    if (slot.writing !== undefined) slot.news = { value, revision };
    else if (revision > slot.revision) this.#take(key, slot, value, revision);
    this.#letGo(key, slot, revision);
  }

  /** Stores what could not be stored before; to be called every second or so. */
  async save(): Promise<void> {
    await Promise.all(
      [...this.#slots].map(([key, slot]) => (slot.pending.length > 0 ? this.#store(key, slot) : undefined)),
    );
  }

  #slotOf(key: string): Slot<V> {
    let slot = this.#slots.get(key);
    if (slot === undefined) {
      slot = {
        stored: undefined,
        revision: 0,
        shown: undefined,
        pending: [],
        writing: undefined,
        news: undefined,
      };
      this.#slots.set(key, slot);
    }
    return slot;
  }

  #take(key: string, slot: Slot<V>, value: V | undefined, revision: number): void {
    slot.stored = value;
    slot.revision = revision;
    this.#show(key, slot);
  }

  #show(key: string, slot: Slot<V>): void {
    const before = slot.shown;
    slot.shown = slot.pending.reduce<V | undefined>((value, change) => change(value), slot.stored);
    if (slot.shown !== before) this.#ports.onChange?.(key, slot.shown, before);
  }

  /** A removed record is kept until the watch has told of it: what it tells of before is old. */
  #letGo(key: string, slot: Slot<V>, toldRevision: number): void {
    const isOver = slot.stored === undefined && slot.pending.length === 0 && toldRevision >= slot.revision;
    if (isOver && slot.writing === undefined) this.#slots.delete(key);
  }

  #store(key: string, slot: Slot<V>): Promise<void> {
    slot.writing ??= this.#write(key, slot).finally(() => {
      const { news } = slot;
      slot.writing = slot.news = undefined;
      if (news !== undefined) this.restore(key, news.value, news.revision);
    });
    return slot.writing;
  }

  async #write(key: string, slot: Slot<V>): Promise<void> {
    const { bucket, log } = this.#ports;
    try {
      for (let tries = 0; tries < updateTriesMax && slot.pending.length > 0; tries++) {
        const changes = [...slot.pending];
        const wanted = changes.reduce<V | undefined>((value, change) => change(value), slot.stored);
        const revision =
          wanted === slot.stored ? slot.revision : await bucket.update(key, wanted, slot.revision);
        if (revision === undefined) {
          const { value, revision: foundAt = 0 } = (await bucket.find(key)) ?? {};
          // Nothing is there when its time was over. The watch may have told more meanwhile.
          if (foundAt === 0 || foundAt > slot.revision) this.#take(key, slot, value, foundAt);
          continue;
        }
        slot.pending = slot.pending.filter((change) => !changes.includes(change));
        if (revision > slot.revision) [slot.stored, slot.revision] = [wanted, revision];
        this.#show(key, slot);
      }
    } catch (error) {
      // If it was stored all the same, the watch tells of it.
      log.warn("mta.record-not-stored", { key, error });
    }
  }
}
