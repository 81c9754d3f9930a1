/** Who carries which mail. A new provider is a file here, its settings, and one entry of `makers`. */
import type { QueueEntry } from "@tyto/contracts";
import type { Provider, ProviderName } from "./provider.ts";
import { type RelayPorts, relay } from "./relay.ts";
import { resend } from "./resend.ts";
import { ses } from "./ses.ts";
import type { ProviderSettings } from "./settings.ts";

export type Providers = {
  /** Who delivers this entry in our place by the settings; `undefined`: we do. */
  of(entry: Pick<QueueEntry, "organizationId">): Provider | undefined;
  /** Who takes what our own addresses may not send at the moment; `undefined`: it waits for them. */
  overflow(entry: Pick<QueueEntry, "requireTls">): Provider | undefined;
  close(): void;
};

const makers: Record<ProviderName, (settings: ProviderSettings, ports: RelayPorts) => Provider | undefined> =
  {
    smtp: (settings, ports) => settings.relay && relay(settings.relay, ports),
    ses: (settings, { now }) => settings.ses && ses(settings.ses, now),
    resend: (settings) => settings.resend && resend(settings.resend),
  };

/** Only providers that the settings use are made. Settings without what a provider needs are refused before (settings.ts). */
export function createProviders(settings: ProviderSettings, ports: RelayPorts): Providers {
  const made = new Map<ProviderName, Provider>();
  function named(name: "mta" | ProviderName | undefined): Provider | undefined {
    if (name === undefined || name === "mta") return undefined;
    const provider = made.get(name) ?? makers[name](settings, ports);
    if (provider !== undefined) made.set(name, provider);
    return provider;
  }
  return {
    of: ({ organizationId }) => named(settings.organizations.get(organizationId) ?? settings.usual),
    overflow({ requireTls }) {
      const provider = named(settings.overflow);
      // Our own address will do it later; a provider that cannot promise it would have to bounce it now.
      return requireTls === true && provider?.keepsPromises !== true ? undefined : provider;
    },
    close() {
      for (const provider of made.values()) provider.close();
    },
  };
}
