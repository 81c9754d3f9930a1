import { createServer, type Socket } from "node:net";
import { reader } from "./reader.testing.ts";

export type Received = { from: string; to: string; body: string };
export type Sink = {
  port: number;
  received: Received[];
  connections: number;
  stop(): Promise<void>;
};
export type SinkRules = {
  /** The reply to RCPT, such as `550 5.1.1 no such user`; `undefined` accepts. */
  onRecipient?: (address: string) => string | undefined;
  /** The reply to the final dot. It is sent when the promise resolves. */
  onMessage?: (message: Received) => Promise<string> | string;
};

/** A mail server that takes what it gets, pipelined or not, and keeps it. */
export async function startSink(rules: SinkRules = {}, host = "127.0.0.1", port = 0): Promise<Sink> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sink.connections++;
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    void serve(socket, rules, sink.received);
  });
  await new Promise<void>((resolve) => server.listen(port, host, resolve));
  const address = server.address();
  const sink: Sink = {
    port: typeof address === "object" && address !== null ? address.port : 0,
    received: [],
    connections: 0,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return sink;
}

async function serve(socket: Socket, rules: SinkRules, received: Received[]): Promise<void> {
  const wire = reader(socket);
  const say = (text: string) => socket.write(`${text}\r\n`);
  say("220 sink.test ESMTP");
  let [from, to] = ["", ""];
  for (;;) {
    const line = await wire.until("\r\n");
    if (line === undefined) return;
    const verb = line.slice(0, 4).toUpperCase();
    const path = /<([^>]*)>/.exec(line)?.[1] ?? "";
    if (verb === "EHLO") say("250-sink.test\r\n250-PIPELINING\r\n250 8BITMIME");
    else if (verb === "MAIL") {
      from = path;
      to = "";
      say("250 2.1.0 ok");
    } else if (verb === "RCPT") {
      const refusal = rules.onRecipient?.(path);
      if (refusal === undefined) to = path;
      say(refusal ?? "250 2.1.5 ok");
    } else if (verb === "DATA") {
      if (to === "") {
        say("503 5.5.1 no recipient");
        continue;
      }
      say("354 go on");
      const body = await wire.until("\r\n.\r\n");
      if (body === undefined) return;
      const message = { from, to, body: `${body}\r\n` };
      received.push(message);
      say((await rules.onMessage?.(message)) ?? `250 2.0.0 queued as ${received.length}`);
    } else if (verb === "QUIT") {
      socket.end("221 2.0.0 bye\r\n");
      return;
    } else say("250 ok");
  }
}
