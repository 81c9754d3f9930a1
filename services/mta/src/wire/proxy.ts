import type { Socket } from "node:net";

/** A proxy that connects for us, as its URL names it. */
export type ProxyAddress = {
  kind: "socks5" | "http";
  host: string;
  port: number;
  user?: string;
  password?: string;
};

/** Why the proxy did not connect us. `isOurs`: the proxy itself is the trouble, not the way from there on. */
export type ProxyTrouble = { why: string; isOurs: boolean };

/** What the proxy connected us with: the address that it speaks from, where it tells. */
export type Proxied = { localIp: string | undefined };

/**
 * Reads `socks5://[user:password@]host:port` or `http://…`; user and password may be percent-encoded (RFC 3986 §2.1).
 * Throws a TypeError for anything else.
 */
export function parseProxy(url: string): ProxyAddress {
  const { protocol, hostname, port, username, password } = new URL(url);
  const kind = protocol === "socks5:" ? "socks5" : protocol === "http:" ? "http" : undefined;
  if (kind === undefined || hostname === "")
    throw new TypeError(`a proxy looks like socks5://host:port or http://host:port, not ${protocol}//…`);
  return {
    kind,
    host: hostname.replace(/^\[|\]$/g, ""),
    port: port === "" ? (kind === "http" ? 80 : 1080) : Number(port),
    ...(username === ""
      ? {}
      : { user: decodeURIComponent(username), password: decodeURIComponent(password) }),
  };
}

/** What a proxy says before it steps aside. */
export type ProxyReader = {
  /** The next bytes, as many as asked for; undefined when the connection ends before. */
  take(bytes: number): Promise<Buffer | undefined>;
  /** Up to and with the mark; undefined when the connection ends or `bytesMax` come without it. */
  until(mark: string, bytesMax: number): Promise<Buffer | undefined>;
  /** Leaves the socket paused, with what was read too far put back: it is the greeting of the mail server. */
  letGo(): void;
};

/** Memory is bounded by `until` and by the few bytes that `take` is asked for: the socket is read only meanwhile. */
export function createProxyReader(socket: Socket): ProxyReader {
  let buffer: Buffer = Buffer.alloc(0);
  let isEnded = false;
  let wake = () => {};
  const onData = (bytes: Buffer) => {
    buffer = buffer.length === 0 ? bytes : Buffer.concat([buffer, bytes]);
    socket.pause();
    wake();
  };
  const onEnd = () => {
    isEnded = true;
    wake();
  };
  socket.on("data", onData);
  socket.on("end", onEnd);
  socket.on("close", onEnd);

  async function read(lengthOf: () => number | undefined): Promise<Buffer | undefined> {
    for (;;) {
      const length = lengthOf();
      if (length !== undefined) {
        const taken = buffer.subarray(0, length);
        buffer = buffer.subarray(length);
        return taken;
      }
      if (isEnded) return undefined;
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      socket.resume();
      await promise;
    }
  }

  return {
    take: (bytes) => read(() => (buffer.length >= bytes ? bytes : undefined)),
    async until(mark, bytesMax) {
      let isTooLong = false;
      const found = await read(() => {
        const at = buffer.indexOf(mark);
        isTooLong = at === -1 ? buffer.length > bytesMax : at + mark.length > bytesMax;
        if (isTooLong) return 0;
        return at === -1 ? undefined : at + mark.length;
      });
      return isTooLong ? undefined : found;
    },
    letGo() {
      socket.pause();
      socket.off("data", onData);
      socket.off("end", onEnd);
      socket.off("close", onEnd);
      if (buffer.length > 0) socket.unshift(buffer);
    },
  };
}
