import { createLog, runService } from "@tyto/service";
import { readConfig } from "./config.ts";
import { start } from "./start.ts";

await runService("recorder", () => {
  const config = readConfig();
  return start(config, createLog("recorder", config.logLevel));
});
