/**
 * A mail server that follows a script, for tests of what real servers do at their worst. A script is a text file:
 *
 *     # why this dialog exists
 *     want {"kind":"accepted","reply":{"code":250}}
 *
 *     S: 220 mx.test ESMTP
 *     C: EHLO *
 *     S: 250 mx.test
 *     ...
 *
 * `want` lines tell what each message in turn has to come to (a part of the result, and in `event` of the event that follows),
 * `mail` what the messages are.
 * `S:` is a line that the server sends, `C:` a line that it must receive (`*` stands for anything), `B:` takes a
 * message up to the final dot, `BDAT` one that comes as a single chunk (RFC 3030). `raw "..."` sends bytes as they are, `slow "..."` one by one; `hello` waits for a
 * TLS handshake to begin, `deaf` reads no more; `tls` and `broken tls` answer a handshake;
 * `close`, `reset` and `stall` end the connection, politely, rudely, or not at all. `connection` begins the script of
 * the next connection. Beyond the last script a connection is refused by closing it.
 */
import { createServer, type Server, type Socket } from "node:net";
import { createSecureContext, TLSSocket } from "node:tls";
import type { Want } from "./pool/pool.ts";

/** A delivery's wish for a session to a site. */
export const wantOf = (site: string, change: Partial<Want> = {}): Want => ({
  egress: { id: "one", ehloName: "mail.tyto.example" },
  site,
  traffic: "bulk",
  owner: "default/",
  ...change,
});

export type Dialog = {
  name: string;
  wants: unknown[];
  mail: Record<string, unknown>;
  connections: Step[][];
};
type Step = { verb: string; text: string };

export function parseDialog(name: string, text: string): Dialog {
  const dialog: Dialog = { name, wants: [], mail: {}, connections: [[]] };
  for (const line of text.split("\n")) {
    if (line.startsWith("#") || line.trim() === "") continue;
    const [, verb = "", rest = ""] =
      /^(want|mail|connection|S:|C:|B:|BDAT|raw|slow|hello|deaf|tls|broken tls|old tls|close|reset|stall)(?: (.*))?$/.exec(
        line,
      ) ?? [];
    if (verb === "") throw new Error(`${name}: cannot read ${JSON.stringify(line)}`);
    if (verb === "want") dialog.wants.push(JSON.parse(rest));
    else if (verb === "mail") dialog.mail = JSON.parse(rest) as Record<string, unknown>;
    else if (verb === "connection") dialog.connections.push([]);
    else dialog.connections.at(-1)?.push({ verb, text: rest });
  }
  return dialog;
}

export type ScriptedServer = {
  port: number;
  /** What went against the script: an unexpected line, or a script that was not played to its end. */
  faults: string[];
  /** Messages as they came over the wire, dots still stuffed. */
  bodies: string[];
  connections: number;
  stop(): Promise<void>;
};

export async function startScripted(
  connections: readonly (readonly Step[])[],
  certificate: string,
): Promise<ScriptedServer> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ pauseOnConnect: true }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    const number = state.connections++;
    const script = connections[number];
    if (script === undefined) socket.destroy();
    else void play(socket, script, `connection ${number + 1}`);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const state: ScriptedServer = {
    port: typeof address === "object" && address !== null ? address.port : 0,
    faults: [],
    bodies: [],
    connections: 0,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };

  async function play(plain: Socket, script: readonly Step[], name: string): Promise<void> {
    let wire = reader(plain);
    for (const { verb, text } of script) {
      switch (verb) {
        case "S:":
          wire.socket.write(`${text}\r\n`);
          break;
        case "raw":
          wire.socket.write(Buffer.from(JSON.parse(text) as string, "latin1"));
          break;
        case "slow":
          for (const byte of Buffer.from(JSON.parse(text) as string, "latin1")) {
            wire.socket.write(Buffer.from([byte]));
            await new Promise((resolve) => setImmediate(resolve));
          }
          break;
        case "hello":
          await wire.until("\x16\x03");
          break;
        case "deaf":
          wire.socket.pause();
          break;
        case "C:": {
          const line = await wire.until("\r\n");
          if (line === undefined) return void state.faults.push(`${name}: ended where ${text} was to come`);
          if (!matches(line, text)) state.faults.push(`${name}: came ${JSON.stringify(line)} for ${text}`);
          break;
        }
        case "B:": {
          const body = await wire.until("\r\n.\r\n");
          if (body === undefined) return void state.faults.push(`${name}: the message did not end`);
          state.bodies.push(body);
          break;
        }
        case "BDAT": {
          const line = await wire.until("\r\n");
          const bytes = /^BDAT (\d+) LAST$/.exec(line ?? "")?.[1];
          if (bytes === undefined) state.faults.push(`${name}: came ${JSON.stringify(line)} for BDAT`);
          const body = await wire.take(Number(bytes ?? 0));
          if (body === undefined) return void state.faults.push(`${name}: the message did not end`);
          state.bodies.push(body);
          break;
        }
        case "tls":
        case "old tls": {
          const secureContext = createSecureContext({
            cert: certificate,
            key: certificate,
            ...(verb === "old tls" ? { minVersion: "TLSv1", maxVersion: "TLSv1.1" } : {}),
          });
          wire.detach();
          const secure = new TLSSocket(wire.socket, { isServer: true, secureContext });
          sockets.add(secure);
          secure.on("error", () => secure.destroy());
          wire = reader(secure);
          break;
        }
        case "broken tls":
          // A TLS record of type handshake begins so; what was sent before it would be thrown away.
          await wire.until("\x16\x03");
          wire.socket.write("this is no handshake\r\n");
          break;
        case "reset":
          wire.socket.resetAndDestroy();
          return;
        case "stall":
          return;
        case "close":
          wire.socket.end();
          return;
      }
    }
    wire.socket.end();
  }
  return state;
}

/** Reads a socket up to a mark. Only what is new is searched: messages may be large. */
function reader(socket: Socket) {
  let parts: string[] = [];
  let isEnded = false;
  let wake = () => {};
  const onData = (part: Buffer) => {
    parts.push(part.toString("latin1"));
    wake();
  };
  const onEnd = () => {
    isEnded = true;
    wake();
  };
  socket.on("data", onData);
  socket.on("end", onEnd);
  socket.on("close", onEnd);
  socket.resume();
  const more = () =>
    new Promise<void>((resolve) => {
      wake = resolve;
    });
  const cut = (length: number, rest: number) => {
    const text = parts.join("");
    parts = text.length > rest ? [text.slice(rest)] : [];
    return text.slice(0, length);
  };
  return {
    socket,
    detach() {
      socket.off("data", onData);
    },
    async until(mark: string): Promise<string | undefined> {
      let tail = "";
      let before = 0;
      for (let seen = 0; ; seen++) {
        for (; seen < parts.length; seen++) {
          const window = tail + (parts[seen] ?? "");
          const at = window.indexOf(mark);
          if (at !== -1) return cut(before + at, before + at + mark.length);
          tail = window.slice(-mark.length);
          before += window.length - tail.length;
        }
        seen--;
        if (isEnded) return undefined;
        await more();
      }
    },
    async take(bytes: number): Promise<string | undefined> {
      while (parts.reduce((sum, part) => sum + part.length, 0) < bytes) {
        if (isEnded) return undefined;
        await more();
      }
      return cut(bytes, bytes);
    },
  };
}

function matches(line: string, pattern: string): boolean {
  const source = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${source.join(".*")}$`, "s").test(line);
}

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
export async function startSink(
  { onRecipient, onMessage }: SinkRules = {},
  host = "127.0.0.1",
  port = 0,
): Promise<Sink> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sink.connections++;
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    void serve(socket);
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

  async function serve(socket: Socket): Promise<void> {
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
        const refusal = onRecipient?.(path);
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
        sink.received.push(message);
        say((await onMessage?.(message)) ?? `250 2.0.0 queued as ${sink.received.length}`);
      } else if (verb === "QUIT") {
        socket.end("221 2.0.0 bye\r\n");
        return;
      } else say("250 ok");
    }
  }
  return sink;
}
