import { providerOf } from "@tyto/contracts";
import type { Host } from "./mx.ts";

/** Where the mail of one or of many domains goes: limits, suspensions and statistics are kept per site. */
export type Site = {
  /**
   * The provider's name where all hosts are one provider's (`google`), so that hosted domains share its limits; else the
   * hosts themselves: `mx.example.com`, or `example.com=1f3a90c2` for a set of several, `127.0.0.1=2526` for a route.
   */
  id: string;
  /** A name of `packages/contracts/src/providers.ts`. */
  provider?: string;
  hosts: readonly Host[];
};

/** Rolls the hosts of a domain up to their site. `smtpPort` is the usual port, which does not show in the id. */
export function siteOf(hosts: readonly Host[], smtpPort: number): Site {
  const names = [...new Set(hosts.map(({ name, port }) => (port === smtpPort ? name : `${name}=${port}`)))]
    .map((name) => name.toLowerCase())
    .toSorted();
  const [first = "nowhere"] = names;
  const providers = new Set(hosts.map(({ name }) => providerOf("@", name)));
  const [provider = "unknown"] = providers;
  if (providers.size === 1 && provider !== "unknown") return { id: provider, provider, hosts };
  if (names.length === 1) return { id: first, hosts };
  const hash = Bun.hash.crc32(names.join(" ")).toString(16).padStart(8, "0");
  return { id: `${commonDomain(names)}=${hash}`, hosts };
}

/** The labels that all names end with, or the first name where they have nothing in common. */
function commonDomain(names: readonly string[]): string {
  const [first = "", ...others] = names;
  const labels = first.split(".");
  for (let from = 1; from < labels.length - 1; from++) {
    const suffix = `.${labels.slice(from).join(".")}`;
    if (others.every((name) => name.endsWith(suffix))) return suffix.slice(1);
  }
  return first;
}
