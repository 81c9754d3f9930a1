import { createLog, runService } from "@tyto/service";
import { readConfig } from "./config.ts";
import { start } from "./start.ts";

await runService("bounce", () => {
  const config = readConfig();
  return start(config, createLog("bounce", config.logLevel));
});
