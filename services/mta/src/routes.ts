import { isIP } from "node:net";
import { isDomain } from "@tyto/contracts";

/** Where mail of a domain goes instead of its MX hosts. `host` is a name or an IP address. */
export type Route = { host: string; port: number };
/** By recipient domain in lower case; `*` stands for all that are not named. */
export type Routes = ReadonlyMap<string, Route>;

/** A host without a domain: `localhost`, or a container by its name. */
const isLabel = /^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/i;

/**
 * Reads `example.com=127.0.0.1:2526,*=relay.example.net:25`. The port defaults to 25; IPv6 addresses stand in brackets.
 * Throws TypeError that names the entry which is wrong.
 */
export function parseRoutes(text: string): Routes {
  const routes = new Map<string, Route>();
  for (const entry of text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "")) {
    const [, domain, bracketed, plain, digits] =
      /^([^=\s]+)=(?:\[([^\]]+)\]|([^:\s]+))(?::(\d{1,5}))?$/.exec(entry) ?? [];
    const host = bracketed ?? plain ?? "";
    const port = digits === undefined ? 25 : Number(digits);
    const isHost = isIP(host) !== 0 || isDomain(host) || isLabel.test(host);
    if (domain === undefined || !(domain === "*" || isDomain(domain)) || !isHost || port < 1 || port > 65_535)
      throw new TypeError(`must be domain=host:port,*=host:port, but has ${JSON.stringify(entry)}`);
    routes.set(domain.toLowerCase(), { host: host.toLowerCase(), port });
  }
  return routes;
}

export const routeOf = (routes: Routes, domain: string): Route | undefined =>
  routes.get(domain.toLowerCase()) ?? routes.get("*");
