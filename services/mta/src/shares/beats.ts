/** The beats of this process: what the others hear of it, and how it knows that it is heard. */
import type { PeerRecord } from "@tyto/contracts";
import { lapseMs } from "./mode.ts";
import type { BeatWrite, Written } from "./write.ts";

const beatMs = 2_000;
/** A beat that was not stored is sent again after this time. */
const beatAgainMs = 250;

export class Beats {
  #name: string;
  #id: string;
  #formerId: string | undefined;
  #number = 0;
  /** When those beats were sent that have not come back; a lapse bounds their number. */
  #sentMs = new Map<number, number>();
  #confirmedMs: number | undefined;
  #nextMs = Number.NEGATIVE_INFINITY;
  #isWriting = false;
  /** Whom the last beat said to be seen. */
  #told = "";
  /** Of the last record under our name. */
  #revision = 0;

  constructor(name: string, id: string) {
    this.#name = name;
    this.#id = id;
  }

  get name(): string {
    return this.#name;
  }
  /** When the last beat was sent that came back: all that was stored before it has been heard. */
  get confirmedMs(): number | undefined {
    return this.#confirmedMs;
  }
  isConfirmed(nowMs: number): boolean {
    return this.#confirmedMs !== undefined && nowMs < this.#confirmedMs + lapseMs;
  }
  /** Beats came back once, and none for too long. */
  hasLapsed(nowMs: number): boolean {
    return this.#confirmedMs !== undefined && !this.isConfirmed(nowMs);
  }

  /** A beat under our name came through the bus, or its removal. Tells whether somebody else lives under it. */
  hear(value: PeerRecord | undefined, revision: number, nowMs: number): "ours" | "taken" {
    this.#revision = Math.max(revision, this.#revision);
    if (value?.id === this.#id) this.#confirm(value.beat, nowMs);
    else if (this.#confirmedMs !== undefined && value !== undefined && value.id !== this.#formerId)
      return "taken";
    return "ours";
  }

  #confirm(number: number, nowMs: number): void {
    const sentMs = this.#sentMs.get(number);
    // A beat that came back after the lapse is too late.
    if (sentMs !== undefined && !this.hasLapsed(nowMs) && nowMs < sentMs + lapseMs)
      this.#confirmedMs = Math.max(this.#confirmedMs ?? sentMs, sentMs);
    for (const sent of this.#sentMs.keys()) if (sent <= number) this.#sentMs.delete(sent);
  }

  /** The beat that is due: the time has come, or somebody waits to be reckoned with. */
  next(sees: string[], nowMs: number): BeatWrite | undefined {
    if (this.#isWriting || (nowMs < this.#nextMs && this.#told === sees.join())) return undefined;
    this.#told = sees.join();
    this.#nextMs = nowMs + beatMs;
    this.#isWriting = true;
    this.#sentMs.set(++this.#number, nowMs);
    return this.#write({ id: this.#id, beat: this.#number, sees });
  }

  written({ key }: BeatWrite, result: Written, nowMs: number): void {
    this.#isWriting = false;
    if (result.kind !== "stored") this.#nextMs = Math.min(this.#nextMs, nowMs + beatAgainMs);
    else if (key === this.#name) this.#revision = Math.max(result.revision, this.#revision);
  }

  /** The next beat need not wait. */
  hurry(nowMs: number): void {
    this.#nextMs = nowMs;
  }

  /** Another life, of which nobody has heard yet. */
  beginAnew(name: string, id: string): void {
    this.#formerId = this.#id;
    [this.#name, this.#id] = [name, id];
    [this.#number, this.#revision, this.#confirmedMs] = [0, 0, undefined];
    this.#sentMs.clear();
  }

  /** The removal of our name, when it was ever heard. */
  farewell(): BeatWrite | undefined {
    const wasHeard = this.#confirmedMs !== undefined;
    this.#confirmedMs = undefined;
    return wasHeard ? this.#write(undefined) : undefined;
  }

  #write(value: PeerRecord | undefined): BeatWrite {
    return { kind: "beat", key: this.#name, value, revision: this.#revision };
  }
}
