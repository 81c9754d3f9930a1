import { deliveryId, newMessageId } from "@tyto/contracts";
import { encodeReturnPath } from "@tyto/mail";
import { postfixReport } from "./dsn.ts";
import { startPortAlone } from "./port-alone.ts";
import { cpuSeconds } from "./processes.ts";
import { openSession } from "./smtp-session.ts";

const p = await startPortAlone();
const N = Number(process.argv[2] ?? 3000),
  S = 40;
const reports = Array.from({ length: N }, (_, i) => {
  const rp = encodeReturnPath(deliveryId(newMessageId(), 0), p.host, p.verpKey);
  return { rp, bytes: postfixReport(`u${i}@remote.test`, rp, i) };
});
const sessions = await Promise.all(Array.from({ length: S }, () => openSession(p.port)));
const c0 = await cpuSeconds([p.pid]);
const t0 = performance.now();
let n = 0;
await Promise.all(
  sessions.map(async (s) => {
    for (let i = n++; i < N; i = n++) {
      const r = await s.deliver("", reports[i]!.rp, reports[i]!.bytes);
      if (!r.startsWith("250")) throw new Error(r);
    }
    s.quit();
  }),
);
console.log(
  N / ((performance.now() - t0) / 1000),
  "per s;",
  (((await cpuSeconds([p.pid])) - c0) / N) * 1000,
  "CPU-s per 1000",
);
await p.stop();
process.exit(0);
