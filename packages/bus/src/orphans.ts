/**
 * After a kill -9 of the server a few entries that were delivered and acknowledged can stay in the work queue, below the
 * durable's floor of acknowledgements: never delivered again, never removed. They are removed here. (Making the durable
 * anew would deliver them once more: old mail sent twice.)
 */
import { consumers } from "@tyto/contracts";
import type { Direct } from "./direct.ts";
import type { BusLog } from "./log.ts";
import { encode, type Requests } from "./requests.ts";

export async function sweepOrphans(
  { requests, direct, log }: { requests: Requests; direct: Direct; log: BusLog },
  stream: string,
  durables: readonly string[],
  requestMs: number,
): Promise<number> {
  let swept = 0;
  for (const durable of durables) {
    const filter = consumers[durable]?.filter[0];
    if (filter === undefined) continue;
    const info = await requests.askJson<{ ack_floor: { stream_seq: number } }>({
      subject: `$JS.API.CONSUMER.INFO.${stream}.${durable}`,
      giveUpAtMs: Date.now() + requestMs,
    });
    const floor = info.ack_floor.stream_seq;
    for (let sequence = 1; sequence <= floor; ) {
      const found = await direct.next(stream, sequence, filter);
      if (found === undefined || found.sequence > floor) break;
      await requests.askJson({
        subject: `$JS.API.STREAM.MSG.DELETE.${stream}`,
        data: encode({ seq: found.sequence, no_erase: true }),
        giveUpAtMs: Date.now() + requestMs,
      });
      log.warn("bus.orphan-removed", { stream, durable, sequence: found.sequence, subject: found.subject });
      swept++;
      sequence = found.sequence + 1;
    }
  }
  return swept;
}
