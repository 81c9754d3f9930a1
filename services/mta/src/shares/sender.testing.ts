/**
 * A process of its own that shares one limit and uses what it may: it keeps as many connections open as its share allows,
 * and sends a byte for each message that its rate allows. For tests; its argument
 * is SenderSettings as JSON.
 */
import { connect, type Socket } from "node:net";
import { connectBus } from "@tyto/bus";
import { silentLog } from "@tyto/service";
import { createElapsed } from "./elapsed.ts";
import { createShares, type Limit } from "./shares.ts";

export type SenderSettings = {
  login: { url: string; user: string; password: string };
  name: string;
  sinkPort: number;
  limit: Limit;
};

const { login, name, sinkPort, limit } = JSON.parse(process.argv[2] ?? "{}") as SenderSettings;
const key = "egress.site";
const wantedMany = 1_000;
/** A transaction that goes on although the share sank. */
const finishMsMax = 300;
const lookMs = 5;

const open = new Set<Socket>();
const closing = new Set<Socket>();
const bus = await connectBus({ ...login, name: "mta", log: silentLog });
const shares = await createShares({
  bucket: bus.bucket,
  name,
  inUse: () => open.size,
  elapsedMs: createElapsed(() => performance.now(), Date.now),
  now: Date.now,
  log: silentLog,
});

let nextSendMs = 0;
const look = () => {
  const share = shares.shareOf(key, limit);
  shares.demand(key, wantedMany);
  while (open.size < share.connectionsMax) {
    const socket = connect(sinkPort, "127.0.0.1");
    open.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      open.delete(socket);
      closing.delete(socket);
    });
  }
  for (const socket of open) {
    if (open.size - closing.size <= share.connectionsMax) break;
    if (closing.has(socket)) continue;
    closing.add(socket);
    setTimeout(() => socket.end(), Math.random() * finishMsMax);
  }
  const nowMs = performance.now();
  const [first] = open;
  if (share.perMinute > 0 && first !== undefined && nowMs >= nextSendMs) {
    first.write("m");
    // What was not used while it waited is gone: no burst.
    nextSendMs = Math.max(nextSendMs, nowMs - lookMs * 2) + 60_000 / share.perMinute;
  }
};
setInterval(look, lookMs);
process.stdout.write("started\n");
