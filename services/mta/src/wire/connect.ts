import { connect as connectTcp, type Socket } from "node:net";
import type { Egress } from "../egress.ts";
import { type Endpoint, type Trouble, unreachable } from "../trouble.ts";
import { askHttpProxy } from "./http-connect.ts";
import {
  createProxyReader,
  type Proxied,
  type ProxyAddress,
  type ProxyTrouble,
  parseProxy,
} from "./proxy.ts";
import { askSocks5 } from "./socks5.ts";

/** A connection to a mail server; `localIp` is the address that it sees, as far as we know. */
export type Connected = { kind: "connected"; socket: Socket; localIp: string | undefined };

/**
 * Connects from the egress to the endpoint, directly or through the egress's proxy, all within `timeoutMs`. A proxy
 * is given the address and not the name: we have looked at where it leads. Its own name is the operator's, and is
 * resolved by the system.
 */
export async function connect(
  endpoint: Endpoint,
  { localIp, proxy: proxyUrl }: Egress,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<Connected | Trouble> {
  const proxy = proxyUrl === undefined ? undefined : parseProxy(proxyUrl);
  const { promise: failed, resolve: fail } = Promise.withResolvers<string>();
  const socket = connectTcp({
    host: proxy?.host ?? endpoint.ip,
    port: proxy?.port ?? endpoint.port,
    ...(localIp === undefined ? {} : { localAddress: localIp }),
  });
  const timer = setTimeout(fail, timeoutMs, `no answer within ${timeoutMs / 1_000} s`);
  const abort = () => fail("stopped");
  signal?.addEventListener("abort", abort);
  // Stays for the life of the socket: between two owners an error must not be unhandled.
  socket.on("error", (error: Error & { code?: string }) => fail(error.code ?? error.message));

  const connected = new Promise<undefined>((resolve) => socket.once("connect", () => resolve(undefined)));
  const why = await Promise.race([connected, failed]);
  const result =
    why !== undefined
      ? proxyUrl === undefined
        ? direct(endpoint, localIp, why)
        : byProxy(endpoint, { why: `the proxy does not answer: ${why}`, isOurs: true })
      : proxy === undefined
        ? { localIp: socket.localAddress }
        : await Promise.race([
            tunnel(socket, proxy, endpoint),
            failed.then((reason) => byProxy(endpoint, { why: `the proxy gave up: ${reason}`, isOurs: true })),
          ]);
  clearTimeout(timer);
  signal?.removeEventListener("abort", abort);
  if (!("kind" in result)) return { kind: "connected", socket, localIp: result.localIp };
  socket.destroy();
  return result;
}

async function tunnel(socket: Socket, proxy: ProxyAddress, endpoint: Endpoint): Promise<Proxied | Trouble> {
  const reader = createProxyReader(socket);
  const ask = proxy.kind === "http" ? askHttpProxy : askSocks5;
  const answer = await ask(socket, reader, proxy, endpoint);
  reader.letGo();
  return "why" in answer ? byProxy(endpoint, answer) : answer;
}

function direct(endpoint: Endpoint, localIp: string | undefined, why: string): Trouble {
  // Every attempt from there fails, wherever it goes: that says nothing about the receiver.
  if (localIp !== undefined && why === "EADDRNOTAVAIL")
    return unreachable(endpoint, `${localIp} is no address of this machine`, "local.trouble");
  return unreachable(endpoint, why);
}

const byProxy = (endpoint: Endpoint, { why, isOurs }: ProxyTrouble): Trouble =>
  unreachable(endpoint, why, isOurs ? "local.trouble" : "network.unreachable");
