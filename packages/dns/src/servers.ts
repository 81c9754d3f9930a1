import { readFileSync } from "node:fs";
import { isIP } from "node:net";

/** A recursive resolver to ask. */
export type Server = { host: string; port: number };

/** What resolv.conf(5) reads: further nameserver lines are ignored. */
const serversMax = 3;

/** `ip:port,ip,[ip6]:port` as servers; the port defaults to 53. Throws TypeError that says what is wrong. */
export function parseServers(text: string): Server[] {
  const servers = text
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "")
    .map(parseServer);
  if (servers.length === 0) throw new TypeError("must name at least one DNS server, such as 127.0.0.1:53");
  return servers;
}

function parseServer(entry: string): Server {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(entry) ?? [];
  const host = bracketed ?? plain ?? entry;
  const port = digits === undefined ? 53 : Number(digits);
  if (isIP(host) === 0 || port < 1 || port > 65_535)
    throw new TypeError(`must be ip:port,ip:port with IP addresses, but has ${JSON.stringify(entry)}`);
  return { host, port };
}

/** The servers of resolv.conf(5), in its order; the local host when it names none. */
export function systemServers(path = "/etc/resolv.conf"): Server[] {
  let text = "";
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    // Without the file a resolver is expected on the local host (resolv.conf(5)); any other trouble is the operator's.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const servers = [...text.matchAll(/^[ \t]*nameserver[ \t]+(\S+)/gm)]
    .map((match) => match[1] ?? "")
    .filter((host) => isIP(host.replace(/%.*$/, "")) !== 0)
    .slice(0, serversMax)
    .map((host) => ({ host, port: 53 }));
  return servers.length > 0 ? servers : [{ host: "127.0.0.1", port: 53 }];
}

/**
 * A resolver that nobody can speak for: on a loopback address. Docker's 127.0.0.11 is none; it hands on what it hears from
 * elsewhere.
 */
export const isOnThisMachine = ({ host }: Server): boolean =>
  (host.startsWith("127.") && host !== "127.0.0.11") || host === "::1";
