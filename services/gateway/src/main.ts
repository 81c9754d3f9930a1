import { runService } from "@tyto/service";
import { gatewayConfig } from "./config.ts";
import { start } from "./start.ts";

await runService("gateway", gatewayConfig, start);
