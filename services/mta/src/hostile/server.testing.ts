/**
 * A mail server that means harm, for fuzzing, in a process of its own, so that the memory of the one that sends is the
 * sender's alone. Every reply, cut, flood and stall is drawn from a seed, its argument. It remembers what it received and what
 * it answered, and judges by that what the client tells it to believe.
 */
import { createServer, type Socket } from "node:net";
import { createSecureContext } from "node:tls";
import { Conversation } from "./conversation.testing.ts";
import { seeded } from "./draws.testing.ts";
import { type Belief, type Fate, judge } from "./fate.testing.ts";

export type ToServer = { kind: "belief"; belief: Belief } | { kind: "judge" };
export type FromServer = { kind: "listening"; port: number } | { kind: "judged"; wrong: string[] };

/** What the client wrote last has to arrive before the judgement. Those that leave us in silence are not waited for. */
const arriveMsMax = 1_000;

const seed = Number(process.argv[2]);
const certificate = await Bun.file(`${import.meta.dir}/../../fixtures/tls/mx.test.pem`).text();
const secureContext = createSecureContext({ cert: certificate, key: certificate });
const fates = new Map<number, Fate>();
const beliefs: Belief[] = [];
const sockets = new Set<Socket>();
let sessions = 0;

const tell = (message: FromServer) => process.send?.(message);

const server = createServer({ pauseOnConnect: true }, (socket) => {
  sockets.add(socket);
  socket.on("close", () => sockets.delete(socket));
  socket.on("error", () => socket.destroy());
  const random = seeded(seed * 1_000_003 + sessions++);
  // It ends with Gone as a rule: the client has left, or the draw was to leave it.
  new Conversation(socket, random, fates, secureContext).run().catch(() => socket.destroy());
});
server.listen(0, "127.0.0.1", 2_000, () => {
  const address = server.address();
  tell({ kind: "listening", port: typeof address === "object" && address !== null ? address.port : 0 });
});

process.on("message", (message: ToServer) => {
  if (message.kind === "belief") return void beliefs.push(message.belief);
  server.close(() => tell({ kind: "judged", wrong: beliefs.flatMap(wrongIn) }));
  setTimeout(() => {
    for (const socket of sockets) socket.destroy();
  }, arriveMsMax);
});
process.on("disconnect", () => process.exit());

function wrongIn(belief: Belief): string[] {
  const problem = judge(belief, fates.get(belief.id));
  return problem === undefined
    ? []
    : [`seed ${seed}, message ${belief.id}: ${problem} (${JSON.stringify(belief.sent)})`];
}
