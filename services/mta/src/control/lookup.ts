import { type ControlAnswer, shortened } from "@tyto/contracts";
import type { Addresses, Host, Path } from "../mx.ts";
import type { Site } from "../site.ts";

type Found = ControlAnswer<"mta.site">;

/** DNS and policies, as looking a domain up needs them. */
export type LookupPorts = {
  findPath(domain: string): Promise<Path>;
  siteOf(hosts: readonly Host[]): Site;
  addressesOf(host: Host): Promise<Addresses>;
  /** What a session to this host has to be, in words; absent where nobody knows policies. */
  policiesOf?(domain: string, host: Host): Promise<Found["policies"]>;
};

const hostsMax = 20;
const wordsMax = 500;

/** Where a domain's mail would go now, looked up as a delivery does it. */
export const createLookup =
  ({ findPath, siteOf, addressesOf, policiesOf }: LookupPorts) =>
  async ({ domain }: { domain: string }): Promise<Found> => {
    const name = domain.toLowerCase();
    const path = await findPath(name);
    if (path.kind === "none")
      return { domain: name, trouble: shortened(path.explanation, wordsMax), hosts: [], policies: [] };
    const { id, provider } = siteOf(path.hosts);
    const hosts = path.hosts.slice(0, hostsMax);
    const [shown, policies] = await Promise.all([
      Promise.all(hosts.map(async (host) => ({ ...(await addressed(host, addressesOf)) }))),
      policiesOf === undefined || hosts[0] === undefined ? [] : policiesOf(name, hosts[0]),
    ]);
    return {
      domain: name,
      site: id,
      ...(provider === undefined ? {} : { provider }),
      hosts: shown,
      policies: policies.slice(0, 20),
    };
  };

async function addressed(
  host: Host,
  addressesOf: LookupPorts["addressesOf"],
): Promise<Found["hosts"][number]> {
  const found = await addressesOf(host);
  const { name, port } = host;
  return found.kind === "none"
    ? { name, port, addresses: [], trouble: shortened(found.explanation, wordsMax) }
    : { name, port, addresses: [...found.addresses] };
}
