export { BoundedMap, places } from "@tyto/bounds";
export { Counter, Gauge, Histogram, Registry } from "prom-client";
export * from "./config.ts";
export * from "./log.ts";
export * from "./room.ts";
export * from "./run.ts";
export * from "./spans.ts";
