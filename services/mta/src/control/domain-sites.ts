import { BoundedMap } from "@tyto/service";
import type { SitePath } from "../attempt.ts";
import type { Host, Path } from "../mx.ts";
import { type Site, siteOf } from "../site.ts";
import type { SiteOfDomain } from "./matching.ts";

/** Sites of domains, as deliveries found them. */
const domainsMax = 100_000;

/** Ways to domains, and the sites that they were found to be. */
export function createDomainSites(find: (domain: string) => Promise<Path>, smtpPort: number) {
  const sites = new BoundedMap<string, Pick<Site, "id" | "provider">>(domainsMax);
  const findPath = async (domain: string): Promise<SitePath> => {
    const path = await find(domain);
    if (path.kind === "none") return path;
    const site = siteOf(path.hosts, smtpPort);
    const { id, provider } = site;
    sites.set(domain, { id, ...(provider === undefined ? {} : { provider }) });
    return { ...path, site };
  };
  const siteOfDomain: SiteOfDomain = (domain) => {
    const site = sites.get(domain);
    return site && { site: site.id, ...(site.provider === undefined ? {} : { provider: site.provider }) };
  };
  return {
    /** Remembers the site that it finds. */
    findPath,
    siteOf: siteOfDomain,
    /** The domain itself where no site is known. */
    idOf: (domain: string) => sites.get(domain)?.id ?? domain,
    siteOfHosts: (hosts: readonly Host[]) => siteOf(hosts, smtpPort),
    siteOfHost: (name: string) =>
      siteOf([{ name, port: smtpPort, isTrusted: false, isImplicit: false }], smtpPort).id,
    async hostsOf(domain: string): Promise<string[]> {
      const path = await findPath(domain);
      return path.kind === "hosts" ? path.hosts.map(({ name }) => name) : [];
    },
  };
}
