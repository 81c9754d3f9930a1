import { backlog } from "./backlog.ts";
import type { Bench } from "./benchmark.ts";
import { flood } from "./flood.ts";
import { intake } from "./intake.ts";
import { isolation } from "./isolation.ts";
import { kill } from "./kill.ts";
import { mta } from "./mta.ts";
import { parser } from "./parser.ts";
import { path } from "./path.ts";
import { sending } from "./sending.ts";
import { shares } from "./shares.ts";
import { store } from "./store.ts";

/** All of them, in the order in which they are listed. */
export const benchmarks: readonly Bench[] = [
  ...[path, store, intake, parser, flood],
  ...[kill, mta, sending, isolation, backlog, shares],
];
