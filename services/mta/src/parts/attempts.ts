import { encodeReturnPath } from "@tyto/mail";
import { createTracer, type Tracer } from "@tyto/service";
import { type AttemptPorts, attempt } from "../attempt.ts";
import type { Control } from "../control/control.ts";
import { carry } from "../courier.ts";
import type { DeliverPorts } from "../deliver.ts";
import type { WayOut } from "../egress/way-out.ts";
import type { Gates } from "../gates.ts";
import { personalFields } from "../personal.ts";
import { createProviders } from "../providers/choice.ts";
import { attributesOf, beginAttempt, isTried, problemOf } from "../spans.ts";
import type { TlsPolicies } from "../tls/policies.ts";
import type { Sessions } from "./sessions.ts";
import type { MessageStore } from "./store.ts";
import type { Surroundings } from "./surroundings.ts";

type Parts = {
  store: MessageStore;
  tls: TlsPolicies;
  gates: Gates;
  wayOut: WayOut;
  control: Control;
  sessions: Sessions;
  signerOf: AttemptPorts["signerOf"];
};

/** One attempt of a delivery: over our own sessions, or by another provider. */
export function createAttempts(surroundings: Surroundings, parts: Parts) {
  const { config, resolver, stopping, now, log } = surroundings;
  const { store, tls, gates, wayOut, control, sessions, signerOf } = parts;
  const { verpKey, siteUrl, ehloName, timeouts, authorities } = config;
  const providers = createProviders(config.providers, { resolver, ehloName, timeouts, authorities, now });
  const tryOnce = attempt({
    ...{ signerOf, providers, signal: stopping, log },
    findPath: control.findPath,
    leave: (entry, site) => gates.isFree(entry, site.id),
    egressFor: (entry, site) => wayOut.choose(entry, site, now(), entry.pool),
    contentOf: store.contentOf,
    returnPath: (id, host, origin) => encodeReturnPath(id, host, verpKey, origin),
    personalFields: (id, host) => personalFields(id, host, siteUrl, verpKey),
    demandOf: (host, { recipient, requireTls }) =>
      tls.demandOf(host, recipient.slice(recipient.lastIndexOf("@") + 1), requireTls),
    carry: (mailOf, hosts, want, options) =>
      carry(mailOf, hosts, want, sessions, { ...options, signal: stopping }),
  });
  const tracer = createTracer("mta", config.tracing, log);
  return {
    attempt: watched(tryOnce, control, tracer),
    async stop(): Promise<void> {
      providers.close();
      await tracer.stop();
    },
  };
}

/** Each attempt is known as being made while it is, and is a span of its message's trace. */
const watched =
  (tryOnce: DeliverPorts["attempt"], control: Control, tracer: Tracer): DeliverPorts["attempt"] =>
  async (entry, siteWaitMs, hold, followers) => {
    const end = control.begin(entry);
    const span = tracer.isOn ? beginAttempt(tracer, entry) : undefined;
    try {
      const attempted = await tryOnce(entry, siteWaitMs, hold, followers);
      if (isTried(attempted)) span?.end(attributesOf(attempted), problemOf(attempted));
      return attempted;
    } catch (error) {
      span?.end({}, "it broke off");
      throw error;
    } finally {
      end();
    }
  };
