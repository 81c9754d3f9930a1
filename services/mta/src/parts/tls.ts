import { createHttps, reachableAddresses } from "../tls/https.ts";
import { createTlsPolicies, type TlsPolicies, type TlsPolicyPorts } from "../tls/policies.ts";
import { createReportMail } from "../tls/report-mail.ts";
import type { Surroundings } from "./surroundings.ts";

/** What sessions have to be encrypted like, and reports of what they were. `count` is told of every session. */
export function createTls(
  surroundings: Surroundings,
  count: NonNullable<TlsPolicyPorts["count"]>,
): TlsPolicies {
  const { config, bus, resolver, processId, now, random, log } = surroundings;
  if (config.tlsReporter === undefined)
    log.info("mta.tls-reports-off", {
      hint: "MTA_TLS_REPORT_FROM names the address that TLS reports come from",
    });
  return createTlsPolicies({
    ...{ resolver, count, process: processId, now, random, log },
    https: createHttps({
      addressesOf: (host) => reachableAddresses(host, resolver, config.allowPrivate),
      authorities: config.authorities,
    }),
    floors: config.tlsFloors,
    policies: bus.bucket("STS_POLICIES"),
    tallies: bus.bucket("TLS_TALLIES"),
    claims: bus.bucket("TLS_REPORTS"),
    reporter: config.tlsReporter,
    mailReport: createReportMail({
      domainOf: bus.bucket("DOMAINS").get,
      putBody: bus.bodies.put,
      queue: bus.queue.add,
      now,
    }),
  });
}
