/** What every consumer works with. */
import { consumers, Failure } from "@tyto/contracts";
import type { Direct } from "./direct/direct.ts";
import type { Link } from "./link.ts";
import type { BusLog } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import type { Store } from "./store/store.ts";

export type Parts = { link: Link; store: Store; direct: Direct; log: BusLog; metrics: Metrics };

export function specOf(durable: string) {
  const spec = consumers[durable];
  if (spec === undefined) throw new Failure("internal", `no contract declares the durable ${durable}`);
  return spec;
}
