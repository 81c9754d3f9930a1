/** Events that were stored before, read again without a consumer. */
import { Failure, type StoredEvent, type Subject } from "@tyto/contracts";
import type { Bus } from "./bus.ts";
import { readFound } from "./contract.ts";
import type { Direct, Found, Start } from "./direct.ts";
import type { Link } from "./link.ts";
import type { BusLog } from "./log.ts";
import { Interrupted } from "./requests.ts";

type Parts = { direct: Direct; link: Link; log: BusLog };

const stream = "EVENTS";
const pageMessagesMax = 256;
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
    const end = Math.min(untilSequence, await again(() => direct.lastSequence(stream, subjects)));
    for (const subject of subjects) {
      let start: Start = { sinceMs };
      for (;;) {
        const from: Start = start;
        const page: Found[] = await again(() => direct.page(stream, from, subject, pageMessagesMax));
        const last = page.at(-1);
        for (const found of page) {
          if (found.sequence > end) break;
          for (const event of readFound(found)) {
            if (event.ok) onEvent(event.value as Extract<StoredEvent, { subject: S }>);
            else
              log.warn("bus.past-unreadable", { subject, sequence: found.sequence, problem: event.problem });
          }
        }
        if (last === undefined || last.sequence >= end) break;
        start = last.sequence + 1;
      }
    }
  };
}
