export { packBodyBytesMax } from "./bodies.ts";
export * from "./bus.ts";
export { type BusOptions, connectBus } from "./connect.ts";
export { type DeadLetter, type DeadLetters, openDeadLetters } from "./dead.ts";
export type { Login } from "./link.ts";
export type { BusLog } from "./log.ts";
export { renderNatsClusterConf, renderNatsConf } from "./nats-conf.ts";
export { provision, type Replicas } from "./provision.ts";
