export { type GatewayConfig, gatewayConfig } from "./config.ts";
export { describePublicApi } from "./openapi.ts";
export { type Gateway, start } from "./start.ts";
