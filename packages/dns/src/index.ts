export { DnsError, type DnsErrorKind } from "./errors.ts";
export { reverseName, wireName } from "./name.ts";
export { asNodeResolve } from "./node-resolve.ts";
export type { Answer, RecordData, RecordType } from "./records.ts";
export { createResolver, type QueryOptions, type Resolver, type ResolverOptions } from "./resolver.ts";
export { isOnThisMachine, parseServers, type Server, systemServers } from "./servers.ts";
