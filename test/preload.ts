/**
 * Tests reach this machine and nothing else: every way out is wrapped, and a look-up or a connection beyond
 * loopback throws "test reached the network", so that a test never passes thanks to somebody else's server.
 */
import dns from "node:dns";
import net from "node:net";

const isLoopback = (host: string) => {
  const bare = host.replace(/^\[|\]$/g, "");
  return bare === "localhost" || bare === "::1" || bare === "0.0.0.0" || bare.startsWith("127.");
};

const refuse = (host: string): never => {
  throw new Error(`test reached the network: ${host}`);
};

const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function guarded(this: net.Socket, ...args: unknown[]) {
  // Node passes either (options, callback), ([options, callback]) or (port, host).
  const first = Array.isArray(args[0]) ? args[0][0] : args[0];
  const options =
    typeof first === "object" && first !== null ? (first as { host?: string; path?: string }) : undefined;
  const host = options ? options.host : typeof args[1] === "string" ? args[1] : undefined;
  if (!options?.path && host !== undefined && !isLoopback(host)) refuse(host);
  return Reflect.apply(connect, this, args) as net.Socket;
};

const fetchDirect = globalThis.fetch;
globalThis.fetch = Object.assign((input: string | URL | Request, init?: RequestInit) => {
  const url = new URL(input instanceof Request ? input.url : input);
  if (/^https?:$/.test(url.protocol) && !isLoopback(url.hostname)) refuse(url.hostname);
  return fetchDirect(input, init);
}, fetchDirect);

const bunConnect = Bun.connect;
Bun.connect = ((options: { hostname?: string }) => {
  if (options.hostname !== undefined && !isLoopback(options.hostname)) refuse(options.hostname);
  return Reflect.apply(bunConnect, Bun, [options]);
}) as typeof Bun.connect;

type Lookup = (name: string, ...rest: unknown[]) => unknown;
const guardLookups = (target: Record<string, unknown>) => {
  for (const name of Object.keys(target)) {
    if (!/^(lookup|resolve)/.test(name)) continue;
    const direct = target[name] as Lookup;
    target[name] = (host: string, ...rest: unknown[]) =>
      isLoopback(host) ? direct(host, ...rest) : refuse(host);
  }
};
guardLookups(dns as unknown as Record<string, unknown>);
guardLookups(dns.promises as unknown as Record<string, unknown>);
