import { runService } from "@tyto/service";
import { scannerConfig } from "./config.ts";
import { start } from "./start.ts";

await runService("scanner", scannerConfig, start);
