import { type Resolver, wireName } from "@tyto/dns";
import type { Log } from "@tyto/service";
import type { Host } from "../mx.ts";
import { type DaneFinding, findTlsa } from "./dane.ts";
import { type Demand, demandOf, type Facts, refusalOf } from "./demand.ts";
import { type Floors, floorOf } from "./floor.ts";
import type { Https } from "./https.ts";
import { type OpenedSession, outcomesOf } from "./outcomes.ts";
import type { Reporter } from "./report.ts";
import { createReports, type ReportPorts } from "./reports.ts";
import { createSts, type Fetched, type Sts, type StsFinding, type StsPorts } from "./sts.ts";
import type { TlsOutcome } from "./tally.ts";
import { policyWords } from "./words.ts";

export type TlsPolicyPorts = {
  resolver: Resolver;
  https: Https;
  /** What the operator asks, by domain. */
  floors: Floors;
  policies: StsPorts["store"];
  tallies: ReportPorts["tallies"];
  claims: ReportPorts["claims"];
  /** Absent: nobody gets a TLS report. */
  reporter: Reporter | undefined;
  mailReport: ReportPorts["mail"];
  /** Is told of every outcome, for metrics. */
  count?(type: TlsOutcome["type"], result: string): void;
  /** Names this process. */
  process: string;
  now: () => number;
  random: () => number;
  log: Pick<Log, "info" | "warn">;
};

type PolicyHost = Pick<Host, "name" | "port" | "isTrusted" | "isAuthenticated">;
export type TlsPolicies = ReturnType<typeof createTlsPolicies>;

/** RFC 8461 §3.3 asks for at least 64 KB and a minute; a message waits for it, so it is less. */
const policyBytesMax = 65_536;
const policyMsMax = 10_000;
const reportAnswerBytesMax = 65_536;
const reportMsMax = 60_000;
const refreshMs = 3_600_000;

const noPolicy: StsFinding = { kind: "none" };
const noRecords: DaneFinding = { kind: "none" };

/**
 * Everything that decides about the encryption of sessions: MTA-STS, DANE, REQUIRETLS and what the operator asks; and the
 * reports to domains about what came of it.
 */
export function createTlsPolicies(ports: TlsPolicyPorts) {
  const sts = stsOf(ports);
  const reports = reportsOf(ports);
  const factsOf = factsFinder(ports, sts);

  /** Counts a session that was opened, or given up because of its encryption, for the reports to its domain. */
  function see(demand: Demand, session: OpenedSession): void {
    for (const outcome of outcomesOf(demand, session)) {
      if (demand.isRouted !== true) reports.count(demand.domain, outcome);
      ports.count?.(outcome.type, outcome.problem?.result ?? "ok");
    }
  }

  return {
    /**
     * What a session to this host has to be for a message to `domain`. Hosts of the operator's own routes are bound by the
     * floor and the message alone. May wait seconds for the policy of a domain that nobody has written to before. Throws
     * Failure when what is kept cannot be read.
     */
    async demandOf(host: PolicyHost, domain: string, requireTls: boolean | undefined): Promise<Demand> {
      const demand = demandOf(await factsOf(host, domain, requireTls));
      if (refusalOf(demand) !== undefined) see(demand, { findings: demand.clauses });
      return demand;
    },

    see,

    /** Refreshes policies, keeps counts and sends reports by itself until `stop`. */
    run(): { stop(): Promise<void> } {
      const reporting = reports.run();
      const refreshing = setInterval(() => void sts.refreshKept(), refreshMs);
      return {
        async stop() {
          clearInterval(refreshing);
          await reporting.stop();
        },
      };
    },
    /** Sends the reports of past days at once. */
    sendReports: reports.send,
    saveCounts: reports.save,

    status: () => ({ sts: sts.status(), reports: reports.status() }),

    /** What is demanded of a session to this host, in words for people. */
    policiesOf: async (domain: string, host: PolicyHost) =>
      policyWords(await factsOf(host, domain, undefined), sts.remembered(wireName(domain))),
  };
}

const txtOf = (resolver: Resolver) => async (name: string) => (await resolver.txt(name)).records;

const stsOf = ({ resolver, https, policies, now, log }: TlsPolicyPorts) =>
  createSts({
    txt: txtOf(resolver),
    fetchPolicy: (domain) => fetchPolicy(https, domain),
    store: policies,
    now,
    log,
  });

const reportsOf = (ports: TlsPolicyPorts) =>
  createReports({
    txt: txtOf(ports.resolver),
    tallies: ports.tallies,
    claims: ports.claims,
    post: (url, packed) => postReport(ports.https, url, packed),
    mail: ports.mailReport,
    reporter: ports.reporter,
    process: ports.process,
    now: ports.now,
    random: ports.random,
    log: ports.log,
  });

/** Finds out what is asked of a session to a host for mail to `domain`. */
const factsFinder =
  ({ resolver, floors }: TlsPolicyPorts, sts: Sts) =>
  async (host: PolicyHost, domain: string, requireTls: boolean | undefined): Promise<Facts> => {
    const name = wireName(domain);
    const facts = { domain: name, host: host.name, floor: floorOf(floors, name), requireTls };
    if (host.isTrusted)
      return { ...facts, isHostCertain: true, sts: noPolicy, dane: noRecords, isRouted: true };
    const isHostCertain = host.isAuthenticated === true;
    const [policy, dane] = await Promise.all([
      sts.find(name),
      isHostCertain ? findTlsa(host, resolver) : noRecords,
    ]);
    return { ...facts, isHostCertain, sts: policy, dane };
  };

/** RFC 8461 §3.3: from this one place, without redirects, as plain text. */
async function fetchPolicy(https: Https, domain: string): Promise<Fetched> {
  const url = new URL(`https://mta-sts.${domain}/.well-known/mta-sts.txt`);
  const answer = await https(url, { method: "GET", answerBytesMax: policyBytesMax, timeoutMs: policyMsMax });
  const failed = (
    result: "sts-policy-fetch-error" | "sts-webpki-invalid" | "sts-policy-invalid",
    why: string,
  ) => ({ kind: "failed", problem: { result, why: `no MTA-STS policy from ${url}: ${why}` } }) as const;
  if (answer.kind === "failed")
    return failed(answer.isCertificate ? "sts-webpki-invalid" : "sts-policy-fetch-error", answer.why);
  if (answer.status !== 200) return failed("sts-policy-fetch-error", `status ${answer.status}`);
  if (answer.mediaType !== "text/plain")
    return failed("sts-policy-invalid", `it is ${answer.mediaType || "without a type"}, not text/plain`);
  return { kind: "text", text: answer.text };
}

/** RFC 8460 §5.4: any 2xx takes the report. */
async function postReport(https: Https, url: URL, packed: Uint8Array): Promise<string | undefined> {
  const answer = await https(url, {
    method: "POST",
    headers: { "content-type": "application/tlsrpt+gzip" },
    body: packed,
    answerBytesMax: reportAnswerBytesMax,
    timeoutMs: reportMsMax,
  });
  if (answer.kind === "failed") return answer.why;
  return answer.status >= 200 && answer.status < 300 ? undefined : `status ${answer.status}`;
}
