import { createLog, runService } from "@tyto/service";
import { scannerConfig } from "./config.ts";
import { start } from "./start.ts";

await runService("scanner", () => {
  const config = scannerConfig();
  return start(config, createLog("scanner", config.logLevel));
});
