/** When each API key was last used: told to Convex at most once a minute and key, behind the requests. */
import { BoundedMap } from "@tyto/service";

const touchAgainMs = 60_000;
/** Keys remembered at a time; one that was forgotten is told once more. */
const keysMax = 10_000;
const touchesInFlightMax = 4;

export type Touches = {
  note(apiKeyId: string): void;
  /** Resolves when what is on its way has arrived. */
  settled(): Promise<void>;
};

export function createTouches(
  touch: (apiKeyId: string, at: number) => Promise<void>,
  now: () => number,
  onError: (error: unknown) => void,
): Touches {
  const told = new BoundedMap<string, number>(keysMax);
  const inFlight = new Set<Promise<void>>();
  return {
    note(apiKeyId) {
      const at = now();
      if ((told.get(apiKeyId) ?? Number.NEGATIVE_INFINITY) > at - touchAgainMs) return;
      // When Convex is slow the time of use waits for the next request.
      if (inFlight.size >= touchesInFlightMax) return;
      told.set(apiKeyId, at);
      const sent: Promise<void> = touch(apiKeyId, at)
        .catch(onError)
        .finally(() => inFlight.delete(sent));
      inFlight.add(sent);
    },
    async settled() {
      await Promise.all(inFlight);
    },
  };
}
