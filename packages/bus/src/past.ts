/** Events that were stored before, read again without a consumer. */
import { Failure, type StoredEvent, type Subject } from "@tyto/contracts";
import type { Bus } from "./bus.ts";
import { readFound } from "./contract.ts";
import type { Direct, Found, Start } from "./direct/direct.ts";
import type { Link } from "./link.ts";
import type { BusLog } from "./log.ts";
import { Interrupted } from "./requests.ts";

type Parts = { direct: Direct; link: Link; log: BusLog };

const stream = "EVENTS";
const pageMessagesMax = 256;
/** A replica that lags behind is waited for, up to 10 s. */
const lagMs = 100;
const lagsMax = 100;
/** A page that met a disconnect is asked for again so often. */
const askedMax = 5;

export function createPast({ direct, link, log }: Parts, requestMs: number): Bus["past"] {
  const again = async <T>(ask: () => Promise<T>): Promise<T> => {
    for (let asked = 1; ; asked++) {
      await link.whenConnected(Date.now() + requestMs);
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof Interrupted)) throw error;
        if (asked === askedMax) throw new Failure("upstream.down", error.message, { cause: error });
      }
    }
  };

  return async <S extends Subject>(
    subjects: readonly S[],
    { sinceMs, untilSequence }: { sinceMs: number; untilSequence: number },
    onEvent: (event: Extract<StoredEvent, { subject: S }>) => void,
  ): Promise<void> => {
    for (const subject of subjects) {
      const end = await again(() => direct.end(stream, subject));
      if (end === undefined || end.storedAtMs < sinceMs) continue;
      const endSequence = Math.min(untilSequence, end.sequence);
      let start: Start = { sinceMs };
      for (let lags = 0; ; ) {
        const from: Start = start;
        const page: Found[] = await again(() => direct.page(stream, from, subject, pageMessagesMax));
        const last = page.at(-1);
        for (const found of page) {
          if (found.sequence > endSequence) break;
          for (const event of readFound(found)) {
            if (event.ok) onEvent(event.value as Extract<StoredEvent, { subject: S }>);
            else
              log.warn("bus.past-unreadable", { subject, sequence: found.sequence, problem: event.problem });
          }
        }
        if (last !== undefined) {
          if (last.sequence >= endSequence) break;
          start = last.sequence + 1;
        } else {
          if (!direct.isReplicated()) break;
          // The replica that answered has not got it yet.
          if (++lags > lagsMax) throw new Failure("upstream.down", `a replica of ${stream} lags behind`);
          await new Promise((resolve) => setTimeout(resolve, lagMs));
        }
      }
    }
  };
}
