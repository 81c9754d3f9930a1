import { afterEach, expect, test } from "bun:test";
import { connect as connectTcp, createServer, type Server, type Socket } from "node:net";
import { Address } from "@tyto/contracts";
import type { Egress } from "../egress.ts";
import { openSession } from "../smtp.ts";
import { startSink } from "../testing.ts";
import { parseProxy } from "./proxy.ts";

const stepMs = 10_000;
const timeouts = {
  connectMs: stepMs,
  greetingMs: stepMs,
  commandMs: stepMs,
  blockMs: stepMs,
  finalMs: stepMs,
  messageMs: 4 * stepMs,
};
const mail = {
  envelopeId: "id",
  from: Address.parse("b-1@bounces.example.com"),
  to: Address.parse("bob@example.org"),
  parts: [Buffer.from("Subject: a\r\n\r\nHello.\r\n")],
  has8Bit: false,
};

const open: Server[] = [];
afterEach(() => {
  for (const server of open.splice(0)) server.close();
});

/** A server that serves each connection with `play`; its port. */
async function listen(
  play: (socket: Socket, read: Read) => Promise<void>,
  host = "127.0.0.1",
): Promise<number> {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    void play(socket, readerOf(socket)).catch(() => socket.destroy());
  });
  open.push(server);
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

type Read = (isWhole: (bytes: Buffer) => number) => Promise<Buffer>;
/** Reads what `isWhole` finds to be whole: it tells the length, or 0 for more. */
function readerOf(socket: Socket): Read {
  let buffer: Buffer = Buffer.alloc(0);
  let wake = () => {};
  const onData = (bytes: Buffer) => {
    buffer = Buffer.concat([buffer, bytes]);
    wake();
  };
  socket.on("data", onData);
  return async (isWhole) => {
    for (;;) {
      const length = isWhole(buffer);
      if (length > 0) {
        const taken = buffer.subarray(0, length);
        buffer = buffer.subarray(length);
        return taken;
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
}

const headEnd = (bytes: Buffer) => (bytes.includes("\r\n\r\n") ? bytes.indexOf("\r\n\r\n") + 4 : 0);

function tunnel(socket: Socket, port: number, before: Buffer | string) {
  const onward = connectTcp({ host: "127.0.0.1", port });
  onward.on("error", () => socket.destroy());
  // The proxy's answer and the greeting leave in one piece.
  onward.once("data", (greeting: Buffer) => {
    socket.write(Buffer.concat([Buffer.from(before), greeting]));
    socket.removeAllListeners("data");
    socket.pipe(onward);
    onward.pipe(socket);
  });
}

async function sendFrom(egress: Partial<Egress>, port: number) {
  const session = await openSession(
    { name: "mx.example.org", ip: "127.0.0.1", port },
    { egress: { id: "e", ehloName: "mail.example.com", ...egress }, timeouts, tls: "none" },
  );
  if ("kind" in session) return session;
  const sent = await session.send(mail);
  session.quit();
  return { ...sent, localIp: session.localIp };
}

test("a message goes through a SOCKS5 proxy, whose address is told", async () => {
  const sink = await startSink();
  const asked: string[] = [];
  const port = await listen(async (socket, read) => {
    asked.push((await read((bytes) => (bytes.length >= 3 ? 3 : 0))).toString("hex"));
    socket.write(Buffer.from([5, 0]));
    asked.push((await read((bytes) => (bytes.length >= 10 ? 10 : 0))).toString("hex"));
    tunnel(socket, sink.port, Buffer.from([5, 0, 0, 1, 192, 0, 2, 7, 0, 99]));
  });
  expect(await sendFrom({ proxy: `socks5://127.0.0.1:${port}` }, sink.port)).toMatchObject({
    kind: "accepted",
    localIp: "192.0.2.7",
  });
  const smtpPort = sink.port.toString(16).padStart(4, "0");
  expect(asked).toEqual(["050100", `050100017f000001${smtpPort}`]);
  expect(sink.received[0]?.body).toBe("Subject: a\r\n\r\nHello.\r\n");
  await sink.stop();
});

test("user and password go to the proxies that want them (RFC 1929)", async () => {
  const sink = await startSink();
  let login = "";
  const port = await listen(async (socket, read) => {
    await read((bytes) => (bytes.length >= 4 ? 4 : 0));
    socket.write(Buffer.from([5, 2]));
    const whole = (bytes: Buffer) => {
      const user = bytes[1] ?? 255;
      const length = 3 + user + (bytes[2 + user] ?? 255);
      return bytes.length >= length ? length : 0;
    };
    login = (await read(whole)).toString("latin1");
    socket.write(Buffer.from([1, login === "\x01\x03joe\x05p@ss:" ? 0 : 1]));
    await read((bytes) => (bytes.length >= 10 ? 10 : 0));
    tunnel(socket, sink.port, Buffer.from([5, 0, 0, 3, 3, 97, 46, 98, 0, 0]));
  });
  const right = { proxy: `socks5://joe:p%40ss%3A@127.0.0.1:${port}` };
  expect(await sendFrom(right, sink.port)).toMatchObject({ kind: "accepted", localIp: undefined });
  expect(login).toBe("\x01\x03joe\x05p@ss:");
  const wrong = { proxy: `socks5://joe:other@127.0.0.1:${port}` };
  expect(await sendFrom(wrong, sink.port)).toMatchObject({ kind: "trouble", reason: "local.trouble" });
  await sink.stop();
});

test.each([
  [[5, 1], "local.trouble", "failed"],
  [[5, 2], "local.trouble", "does not allow"],
  [[5, 3], "network.unreachable", "network cannot be reached"],
  [[5, 4], "network.unreachable", "host cannot be reached"],
  [[5, 5], "network.unreachable", "refused"],
  [[5, 6], "network.unreachable", "time to live"],
  [[5, 7], "local.trouble", "CONNECT"],
  [[5, 8], "local.trouble", "address"],
  [[5, 99], "local.trouble", "99"],
  [[4, 0], "local.trouble", "no SOCKS5 proxy"],
])("the SOCKS5 answer %p is %s", async (answer, reason, words) => {
  const port = await listen(async (socket, read) => {
    await read((bytes) => (bytes.length >= 3 ? 3 : 0));
    socket.write(Buffer.from([5, 0]));
    await read((bytes) => (bytes.length >= 10 ? 10 : 0));
    socket.end(Buffer.from([...answer, 0, 1, 0, 0, 0, 0, 0, 0]));
  });
  const sent = await sendFrom({ proxy: `socks5://127.0.0.1:${port}` }, 25);
  expect(sent).toMatchObject({ kind: "trouble", step: "connect", reason });
  expect(JSON.stringify(sent)).toContain(words);
});

test("a SOCKS5 proxy that takes none of our ways in is said to", async () => {
  const port = await listen(async (socket, read) => {
    await read((bytes) => (bytes.length >= 3 ? 3 : 0));
    socket.end(Buffer.from([5, 255]));
  });
  const sent = await sendFrom({ proxy: `socks5://127.0.0.1:${port}` }, 25);
  expect(sent).toMatchObject({ reason: "local.trouble" });
});

test("a message goes through an HTTP proxy", async () => {
  const sink = await startSink();
  let head = "";
  const port = await listen(async (socket, read) => {
    head = (await read(headEnd)).toString();
    tunnel(socket, sink.port, "HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n");
  });
  expect(await sendFrom({ proxy: `http://joe:pw@127.0.0.1:${port}` }, sink.port)).toMatchObject({
    kind: "accepted",
    localIp: undefined,
  });
  expect(head).toBe(
    `CONNECT 127.0.0.1:${sink.port} HTTP/1.1\r\nHost: 127.0.0.1:${sink.port}\r\nProxy-Authorization: Basic am9lOnB3\r\n\r\n`,
  );
  await sink.stop();
});

test.each([
  ["407", "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "local.trouble"],
  ["403", "HTTP/1.0 403 Forbidden\r\n\r\n", "local.trouble"],
  ["502", "HTTP/1.1 502 Bad Gateway\r\n\r\n", "network.unreachable"],
  ["503", "HTTP/1.1 503 Service Unavailable\r\n\r\n", "network.unreachable"],
  ["504", "HTTP/1.1 504 Gateway Timeout\r\n\r\n", "network.unreachable"],
  ["an SMTP greeting", "220 mx.example.org ESMTP\r\n\r\n", "local.trouble"],
  ["half an answer", "HTTP/1.1 200", "local.trouble"],
  ["fields without end", `HTTP/1.1 200 ok\r\n${"X: y\r\n".repeat(10_000)}\r\n`, "local.trouble"],
])("an HTTP proxy that answers %s", async (_name, answer, reason) => {
  const port = await listen(async (socket, read) => {
    await read(headEnd);
    socket.end(answer);
  });
  expect(await sendFrom({ proxy: `http://127.0.0.1:${port}` }, 25)).toMatchObject({
    kind: "trouble",
    step: "connect",
    reason,
  });
});

test("a proxy that is silent is given up in time, one that is not there at once", async () => {
  const port = await listen(async () => {});
  const egress = { id: "e", ehloName: "x", proxy: `socks5://127.0.0.1:${port}` };
  const endpoint = { name: "mx", ip: "127.0.0.1", port: 25 };
  const options = { egress, timeouts: { ...timeouts, connectMs: 50 }, tls: "none" } as const;
  expect(await openSession(endpoint, options)).toMatchObject({ kind: "trouble", reason: "local.trouble" });
  for (const server of open.splice(0)) await new Promise((resolve) => server.close(resolve));
  expect(await sendFrom({ proxy: `socks5://127.0.0.1:${port}` }, 25)).toMatchObject({
    kind: "trouble",
    reason: "local.trouble",
  });
});

test("the source address is bound, and one that is not ours is told as our own trouble", async () => {
  const sink = await startSink();
  expect(await sendFrom({ localIp: "127.0.0.77" }, sink.port)).toMatchObject({
    kind: "accepted",
    localIp: "127.0.0.77",
  });
  expect(await sendFrom({ localIp: "192.0.2.1" }, sink.port)).toMatchObject({
    kind: "trouble",
    step: "connect",
    reason: "local.trouble",
  });
  await sink.stop();
});

test("an IPv6 target is written as each kind of proxy wants it", async () => {
  let asked = "";
  const socks = await listen(async (socket, read) => {
    await read((bytes) => (bytes.length >= 3 ? 3 : 0));
    socket.write(Buffer.from([5, 0]));
    asked = (await read((bytes) => (bytes.length >= 22 ? 22 : 0))).toString("hex");
    socket.end(Buffer.from([5, 4, 0, 1]));
  });
  const http = await listen(async (socket, read) => {
    asked = (await read(headEnd)).toString();
    socket.end("HTTP/1.1 502 no\r\n\r\n");
  });
  const endpoint = { name: "mx", ip: "2001:db8::25:1", port: 25 };
  const at = (proxy: string) =>
    ({ egress: { id: "e", ehloName: "x", proxy }, timeouts, tls: "none" }) as const;
  await openSession(endpoint, at(`socks5://127.0.0.1:${socks}`));
  expect(asked).toBe("0501000420010db80000000000000000002500010019");
  await openSession(endpoint, at(`http://127.0.0.1:${http}`));
  expect(asked).toStartWith("CONNECT [2001:db8::25:1]:25 HTTP/1.1\r\n");
});

test("a proxy's URL is read", () => {
  expect(parseProxy("socks5://[::1]:1080")).toEqual({ kind: "socks5", host: "::1", port: 1080 });
  expect(parseProxy("http://u:p%2F@proxy:3128")).toEqual({
    kind: "http",
    host: "proxy",
    port: 3128,
    user: "u",
    password: "p/",
  });
  for (const url of ["https://proxy:1", "socks4://proxy:1", "proxy:1080", "socks5://", ""])
    expect(() => parseProxy(url)).toThrow();
});

test("a session that says QUIT has ended when the server has closed it, and not before", async () => {
  const asked = Promise.withResolvers<void>();
  const mayClose = Promise.withResolvers<void>();
  const line = (bytes: Buffer) => bytes.indexOf("\r\n") + 2;
  const port = await listen(async (socket, read) => {
    socket.write("220 mx.test\r\n");
    await read((bytes) => (bytes.includes("\r\n") ? line(bytes) : 0));
    socket.write("250 mx.test\r\n");
    await read((bytes) => (bytes.includes("QUIT\r\n") ? line(bytes) : 0));
    asked.resolve();
    await mayClose.promise;
    socket.end("221 bye\r\n");
  });
  const session = await openSession(
    { name: "mx.test", ip: "127.0.0.1", port },
    { egress: { id: "e", ehloName: "mail.example.com" }, timeouts, tls: "none" },
  );
  if ("kind" in session) throw new Error(session.explanation);
  session.quit();
  let hasEnded = false;
  const ended = new Promise<void>((resolve) =>
    session.onEnd(() => {
      hasEnded = true;
      resolve();
    }),
  );
  await asked.promise;
  expect([session.isOpen, hasEnded]).toEqual([false, false]);
  mayClose.resolve();
  await ended;
});
