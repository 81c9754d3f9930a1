/** Rate limits: one counter per key and window in a stream of counters; 17,000 additions a second on a single key. */
import { Failure, streams } from "@tyto/contracts";
import { token } from "./contract.ts";
import type { Store } from "./store/store.ts";

/** A window's counter must live longer than the window. */
const windowMsMax = streams.RATE.maxAgeMs / 2;

/** The count of `key` in the window of `nowMs`, after adding. */
export async function count(
  store: Store,
  nowMs: number,
  key: string,
  windowMs: number,
  add: number,
): Promise<number> {
  if (windowMs > windowMsMax) throw new Failure("internal", `a window of more than ${windowMsMax} ms`);
  const window = Math.floor(nowMs / windowMs);
  const stored = await store.one({
    subject: `rate.${token(key)}.${window}`,
    data: new Uint8Array(),
    headers: { "Nats-Incr": `+${add}` },
  });
  return Number(stored.val);
}
