/** A process of its own that takes a message and never answers, until it is killed: `bun hanging-consumer.ts <url>`. */
import { connectBus } from "../src/connect.ts";
import { silentLog } from "../src/testing.ts";

const bus = await connectBus({ url: process.argv[2] ?? "", name: "hanging", log: silentLog });
await bus.consume("scanner", {
  "mail.submitted"(payload) {
    process.stdout.write(`${payload.id}\n`);
    return new Promise(() => {});
  },
});
