import { createLog, runService } from "@tyto/service";
import { readConfig } from "./config.ts";
import { start } from "./start.ts";

await runService("llm", () => {
  const config = readConfig();
  return start(config, createLog("llm", config.logLevel));
});
