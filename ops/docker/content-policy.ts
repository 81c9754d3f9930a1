/** Prints the content policy of the built dashboard as a line of Caddyfile; the gateway sends the same when it serves pages. */
import { join } from "node:path";
import { contentPolicy, scriptHashes } from "../../services/gateway/src/spa.ts";

const folder = process.argv[2];
if (!folder) throw new Error("give the folder of the built dashboard");
const page = await Bun.file(join(folder, "200.html")).text();
process.stdout.write(`header Content-Security-Policy "${contentPolicy(scriptHashes(page))}"\n`);
