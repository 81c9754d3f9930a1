import type { StoredEvent } from "@tyto/contracts";
import { done, retry, type Verdict } from "../bus.ts";
import type { Hand } from "../hand.ts";
import type { Judge } from "../judging.ts";
import type { Load } from "../load.ts";
import type { Delivery } from "../reader.ts";

/** One event of a message. The message is settled with the last of its events. */
export type Entry = { delivery: Delivery; event: StoredEvent; message: Shared };
type Shared = { left: number; isRetried: boolean };

/** Events are settled one by one, messages when all of their events are. */
export class Settling {
  readonly #hand: Hand;
  readonly #load: Load;
  readonly #judge: Judge;

  constructor(hand: Hand, load: Load, judge: Judge) {
    this.#hand = hand;
    this.#load = load;
    this.#judge = judge;
  }

  settle(delivery: Delivery, message: Shared, verdict: Verdict): void {
    this.#load.remove(1);
    message.left--;
    if (verdict.kind === "retry") message.isRetried = true;
    if (message.left > 0) return;
    const whole = message.isRetried ? retry(0, "one of its events could not be buried") : done;
    this.#hand.settle(delivery, whole);
  }

  /** Resolves when the event lies in DEAD, or is to be tried again because it could not be put there. */
  async refuse(delivery: Delivery, message: Shared, verdict: Verdict): Promise<void> {
    this.settle(delivery, message, await this.#judge(delivery, async () => verdict));
  }

  /** Gives back what was not begun. */
  giveBack(entries: readonly Entry[]): void {
    for (const { delivery } of entries) this.#hand.giveBack(delivery);
  }
}
