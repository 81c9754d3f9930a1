export * from "./auto-reply.ts";
export * from "./challenge.ts";
export * from "./classify.ts";
export * from "./complaint.ts";
export * from "./dmarc-report.ts";
export * from "./message.ts";
export * from "./message-id.ts";
export * from "./opened.ts";
export * from "./original.ts";
export * from "./own-address.ts";
export { type Provider, providers, readProvider } from "./providers.ts";
export * from "./reply.ts";
export * from "./reply-text.ts";
export {
  type Action,
  actions,
  type RecipientReport,
  type Report,
  readReport,
} from "./report.ts";
export * from "./tls-report.ts";
export * from "./understand.ts";
export * from "./verp.ts";
