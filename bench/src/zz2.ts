import { connect } from "node:net";
import { startPortAlone } from "./port-alone.ts";

const p = await startPortAlone({ LOG_LEVEL: "debug" });
const s = connect(p.port, "127.0.0.1");
s.on("data", (d) => console.log("data", d.toString()));
s.on("close", () => console.log("closed"));
s.on("error", (e) => console.log(e));
await Bun.sleep(1000);
const s2 = connect({ port: p.port, host: "127.0.0.1", localAddress: "127.0.0.1" });
s2.on("data", (d) => console.log("data", d.toString()));
s2.on("close", () => console.log("closed"));
s2.on("error", (e) => console.log(e));
await Bun.sleep(1000);
await p.stop();
process.exit(0);
