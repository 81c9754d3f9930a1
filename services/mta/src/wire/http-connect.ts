import { isIP, type Socket } from "node:net";
import type { Proxied, ProxyAddress, ProxyReader, ProxyTrouble } from "./proxy.ts";

const headBytesMax = 16_384;

/** Asks an HTTP proxy for a tunnel (RFC 9110 §9.3.6), with basic authentication when we have user and password. */
export async function askHttpProxy(
  socket: Socket,
  reader: ProxyReader,
  { user, password = "" }: ProxyAddress,
  { ip, port }: { ip: string; port: number },
): Promise<Proxied | ProxyTrouble> {
  const target = isIP(ip) === 6 ? `[${ip}]:${port}` : `${ip}:${port}`;
  const login =
    user === undefined
      ? ""
      : `Proxy-Authorization: Basic ${Buffer.from(`${user}:${password}`).toString("base64")}\r\n`;
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${login}\r\n`);
  const head = await reader.until("\r\n\r\n", headBytesMax);
  const status = Number(/^HTTP\/1\.[01] (\d{3})[ \r]/.exec(head?.toString("latin1") ?? "")?.[1] ?? 0);
  if (status === 0) return { why: "what listens there is no HTTP proxy", isOurs: true };
  if (status >= 200 && status < 300) return { localIp: undefined };
  return {
    why: `the HTTP proxy answered ${status}`,
    // 502 and 504 are about the other side (RFC 9110 §15.6); 503 is what squid says for it.
    isOurs: status !== 502 && status !== 503 && status !== 504,
  };
}
