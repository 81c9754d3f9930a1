/** What waits in the queue, counted there. */
import type { Installation } from "@tyto/test/parts/installation.ts";
import { until } from "@tyto/test/parts/until.ts";

export type QueueTotal = {
  entries: number;
  ready: number;
  later: number;
  in_hand: number;
  connections: number;
};

const answerMsMax = 600_000;

/** As the API tells it: each recipient is an entry. An mta that is too busy to answer is asked again for ten minutes. */
export async function queueOf(tyto: Pick<Installation, "call">): Promise<QueueTotal> {
  const answer = await until(
    "the mta counts its queue",
    async () => {
      const found = await tyto.call("GET", "/v1/queue");
      return found.status === 503 ? undefined : found;
    },
    { withinMs: answerMsMax, everyMs: 1_000 },
  );
  if (answer.status !== 200) throw new Error(`/v1/queue answered ${answer.status}: ${await answer.text()}`);
  const { total } = (await answer.json()) as { total: QueueTotal };
  const { entries, ready, later, in_hand, connections } = total;
  return { entries, ready, later, in_hand, connections };
}
