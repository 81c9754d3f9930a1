import { BoundedMap } from "@tyto/service";
import type { Site } from "./site.ts";

/** Hosts that cannot be reached are remembered up to this number; the oldest is forgotten first. */
const restingMax = 10_000;

/** Hosts that could not be reached, and are left alone for a while, so that others behind them are tried at once. */
export class Rests<F> {
  readonly #resting = new BoundedMap<string, { site: Site; untilMs: number; failure: F }>(restingMax);
  readonly #restMs: number;
  readonly #now: () => number;

  constructor(restMs: number, now: () => number) {
    this.#restMs = restMs;
    this.#now = now;
  }

  begin(host: string, site: Site, failure: F): void {
    this.#resting.set(host, { site, untilMs: this.#now() + this.#restMs, failure });
  }
  end(host: string): void {
    this.#resting.delete(host);
  }
  /** Who finds out whether a site is well again, or knows that it is, has to ask its hosts: their old answers would say that it is not. */
  endOf(site: Site): void {
    for (const [host, rest] of this.#resting) if (rest.site === site) this.#resting.delete(host);
  }

  /** What came of the last try, while the host rests. */
  failureOf(host: string): F | undefined {
    const rest = this.#resting.get(host);
    if (rest === undefined) return undefined;
    if (rest.untilMs > this.#now()) return rest.failure;
    // One asks again; until it knows, the others take the old answer.
    rest.untilMs = this.#now() + this.#restMs;
    return undefined;
  }
}
