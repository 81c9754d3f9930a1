export * from "./classify.ts";
export * from "./reply.ts";
export * from "./verp.ts";
