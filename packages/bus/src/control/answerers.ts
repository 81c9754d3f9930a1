import { BoundedMap } from "@tyto/bounds";
import type { ControlName } from "@tyto/contracts";

/** A process that answered within this time is waited for, although it was not heard of. */
const rememberMs = 60_000;
const answerersMax = 256;

/** Which processes answered which questions of late. */
export class Answerers {
  readonly #now: () => number;
  /** Control → process → when it answered last. */
  readonly #answeredAtMs = new Map<ControlName, BoundedMap<string, number>>();

  constructor(now: () => number) {
    this.#now = now;
  }

  remember(control: ControlName, process: string): void {
    const recent = this.#answeredAtMs.get(control) ?? new BoundedMap<string, number>(answerersMax);
    this.#answeredAtMs.set(control, recent.set(process, this.#now()));
  }

  /** Those that answered within the last minute. */
  of(control: ControlName): string[] {
    const recent = this.#answeredAtMs.get(control);
    if (recent === undefined) return [];
    for (const [process, atMs] of recent) if (this.#now() - atMs > rememberMs) recent.delete(process);
    return [...recent.keys()];
  }

  /** Not to be waited for again, unless it is heard of. */
  forget(control: ControlName, process: string): void {
    this.#answeredAtMs.get(control)?.delete(process);
  }
}
