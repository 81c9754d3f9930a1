import { runService } from "@tyto/service";
import { readConfig } from "./config.ts";
import { start } from "./start.ts";

await runService("mta", readConfig, start);
