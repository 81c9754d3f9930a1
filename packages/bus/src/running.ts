import type { Consumption } from "./bus.ts";

type Watch = { stop(): void };

/** What the bus runs for its service until it is stopped: by the service, or by all being stopped. */
export class RunningParts {
  readonly #consumptions = new Set<Consumption>();
  readonly #watches = new Set<Watch>();

  keep(consumption: Consumption): Consumption {
    this.#consumptions.add(consumption);
    return {
      stop: async () => {
        await consumption.stop();
        this.#consumptions.delete(consumption);
      },
    };
  }

  keepWatch(watch: Watch): Watch {
    this.#watches.add(watch);
    return {
      stop: () => {
        this.#watches.delete(watch);
        watch.stop();
      },
    };
  }

  /** Resolves when nothing is in hand any more. */
  async stop(): Promise<void> {
    for (const watch of this.#watches) watch.stop();
    await Promise.all([...this.#consumptions].map((consumption) => consumption.stop()));
  }
}
