/**
 * Who runs a recipient's mail: large mailbox providers and filtering services by the names of their mail servers, so that
 * what happens at one of them can be seen together. Everybody else is named by the recipient's domain.
 */

/** Suffixes of the host names of mail servers, and of domains of addresses, per provider. */
const providers: Record<string, { hosts: readonly string[]; domains: readonly string[] }> = {
  google: { hosts: ["google.com", "googlemail.com", "psmtp.com"], domains: ["gmail.com", "googlemail.com"] },
  microsoft: {
    hosts: [
      "outlook.com",
      "hotmail.com",
      "olc.protection.outlook.com",
      "office365.us",
      "mail.protection.outlook.de",
    ],
    domains: [
      "outlook.com",
      "hotmail.com",
      "live.com",
      "msn.com",
      "hotmail.co.uk",
      "hotmail.fr",
      "outlook.fr",
      "outlook.de",
    ],
  },
  yahoo: {
    hosts: ["yahoodns.net", "yahoo.com", "yahooinc.com", "aol.net", "aol.com"],
    domains: [
      "yahoo.com",
      "ymail.com",
      "rocketmail.com",
      "aol.com",
      "yahoo.co.uk",
      "yahoo.fr",
      "yahoo.de",
      "aim.com",
    ],
  },
  "yahoo-japan": { hosts: ["yahoo.co.jp"], domains: ["yahoo.co.jp", "ymail.ne.jp"] },
  apple: { hosts: ["icloud.com", "apple.com"], domains: ["icloud.com", "me.com", "mac.com"] },
  comcast: { hosts: ["comcast.net"], domains: ["comcast.net", "xfinity.com"] },
  att: { hosts: ["att.net", "prodigy.net"], domains: ["att.net", "sbcglobal.net", "bellsouth.net"] },
  cox: { hosts: ["cox.net"], domains: ["cox.net"] },
  charter: {
    hosts: ["charter.net", "spectrum.net", "rr.com"],
    domains: ["charter.net", "rr.com", "spectrum.net"],
  },
  "united-internet": {
    hosts: ["gmx.net", "web.de", "kundenserver.de", "1and1.com", "ionos.com", "gmx.com", "mail.com"],
    domains: ["gmx.de", "gmx.net", "gmx.at", "gmx.ch", "gmx.com", "web.de", "mail.com"],
  },
  "t-online": { hosts: ["t-online.de"], domains: ["t-online.de", "magenta.de"] },
  orange: { hosts: ["orange.fr", "wanadoo.fr"], domains: ["orange.fr", "wanadoo.fr"] },
  free: { hosts: ["free.fr"], domains: ["free.fr"] },
  laposte: { hosts: ["laposte.net"], domains: ["laposte.net"] },
  libero: { hosts: ["libero.it"], domains: ["libero.it", "virgilio.it"] },
  bt: { hosts: ["btinternet.com", "bt.com"], domains: ["btinternet.com"] },
  "mail.ru": { hosts: ["mail.ru"], domains: ["mail.ru", "inbox.ru", "list.ru", "bk.ru"] },
  yandex: { hosts: ["yandex.ru", "yandex.net"], domains: ["yandex.ru", "ya.ru", "yandex.com"] },
  qq: { hosts: ["qq.com"], domains: ["qq.com", "foxmail.com"] },
  netease: { hosts: ["netease.com", "163.com"], domains: ["163.com", "126.com", "yeah.net"] },
  docomo: { hosts: ["docomo.ne.jp"], domains: ["docomo.ne.jp"] },
  kddi: { hosts: ["au.com", "ezweb.ne.jp"], domains: ["au.com", "ezweb.ne.jp"] },
  softbank: { hosts: ["softbank.ne.jp"], domains: ["softbank.ne.jp", "i.softbank.jp"] },
  proton: { hosts: ["protonmail.ch"], domains: ["proton.me", "protonmail.com", "pm.me"] },
  fastmail: { hosts: ["messagingengine.com"], domains: ["fastmail.com", "fastmail.fm"] },
  zoho: { hosts: ["zoho.com", "zoho.eu", "zoho.in"], domains: ["zohomail.com", "zoho.com"] },
  rackspace: { hosts: ["emailsrvr.com"], domains: [] },
  godaddy: { hosts: ["secureserver.net"], domains: [] },
  ovh: { hosts: ["ovh.net"], domains: [] },
  amazon: { hosts: ["amazonaws.com", "amazonses.com"], domains: [] },
  mimecast: { hosts: ["mimecast.com", "mimecast.co.za"], domains: [] },
  proofpoint: { hosts: ["pphosted.com", "ppe-hosted.com", "gpphosted.com"], domains: [] },
  barracuda: { hosts: ["barracudanetworks.com", "ess.barracuda.com"], domains: [] },
  cisco: { hosts: ["iphmx.com"], domains: [] },
  broadcom: { hosts: ["messagelabs.com"], domains: [] },
  "trend-micro": { hosts: ["trendmicro.com", "trendmicro.eu"], domains: [] },
  sophos: { hosts: ["sophos.com", "reflexion.net"], domains: [] },
  hornetsecurity: { hosts: ["hornetsecurity.com", "antispameurope.com"], domains: [] },
};

const byHost = new Map(
  Object.entries(providers).flatMap(([name, { hosts }]) => hosts.map((host) => [host, name])),
);
const byDomain = new Map(
  Object.entries(providers).flatMap(([name, { domains }]) => domains.map((domain) => [domain, name])),
);

/** Whether this is a provider's name, and not the domain of somebody else. */
export const isProvider = (name: string): boolean => Object.hasOwn(providers, name);

/**
 * The provider of a recipient: by the mail server that spoke, where one is known, else by the domain of the address, else
 * that domain itself. Always in lower case; `unknown` when neither tells anything.
 */
export function providerOf(address: string, mx?: string): string {
  const domain = address.slice(address.lastIndexOf("@") + 1).toLowerCase();
  for (
    let host = mx?.toLowerCase().replace(/\.$/, "") ?? "";
    host.includes(".");
    host = host.slice(host.indexOf(".") + 1)
  ) {
    const name = byHost.get(host);
    if (name !== undefined) return name;
  }
  return byDomain.get(domain) ?? (domain.endsWith(".invalid") || domain === "" ? "unknown" : domain);
}

/** Names that are not the id with capitals. */
const labels: Record<string, string> = {
  att: "AT&T",
  bt: "BT",
  kddi: "KDDI",
  laposte: "La Poste",
  ovh: "OVH",
  qq: "QQ",
};

/** A provider's name for people: Yahoo Japan, for `yahoo-japan`; names that are domains stay as they are. */
export const providerLabel = (provider: string): string =>
  labels[provider] ??
  (provider.includes(".")
    ? provider
    : provider
        .split("-")
        .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
        .join(" "));
