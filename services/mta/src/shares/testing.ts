import type { Bus } from "@tyto/bus";
import { silentLog } from "@tyto/service";
import { createElapsed } from "./elapsed.ts";
import { createShares, type Shares } from "./shares.ts";

/** The shares of a process of this name, by the clocks of this one. */
export const openShares = (bus: Bus, name: string, inUse: (key: string) => number): Promise<Shares> =>
  createShares({
    bucket: bus.bucket,
    name,
    inUse,
    elapsedMs: createElapsed(() => performance.now(), Date.now),
    now: Date.now,
    log: silentLog,
  });
