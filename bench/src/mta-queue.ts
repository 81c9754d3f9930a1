/** What waits in the queue, counted there. */
import type { Installation } from "@tyto/test/parts/installation.ts";

export type QueueTotal = {
  entries: number;
  ready: number;
  later: number;
  in_hand: number;
  connections: number;
};

/** As the API tells it: each recipient is an entry. */
export async function queueOf(tyto: Pick<Installation, "call">): Promise<QueueTotal> {
  const answer = await tyto.call("GET", "/v1/queue");
  if (answer.status !== 200) throw new Error(`/v1/queue answered ${answer.status}: ${await answer.text()}`);
  const { total } = (await answer.json()) as { total: QueueTotal };
  const { entries, ready, later, in_hand, connections } = total;
  return { entries, ready, later, in_hand, connections };
}
