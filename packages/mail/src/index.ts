export * from "./auto-reply.ts";
export * from "./classify.ts";
export * from "./message.ts";
export * from "./reply.ts";
export {
  type Action,
  actions,
  parseReport,
  type RecipientReport,
  type Report,
  readReport,
} from "./report.ts";
export * from "./verp.ts";
