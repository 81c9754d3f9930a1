/** What an event knows besides its reply, in words as far as there are words for it. */

type Detail = Readonly<Record<string, unknown>>;

/** Parts of one line; `reply` is what the line above says already. */
export function detailWords(detail: Detail | undefined, reply: string | undefined): string[] {
  if (detail === undefined) return [];
  const { conversation, dkim, reason, fault, hard, confidence, reply: _, ...rest } = detail;
  return [
    ...(isRecord(conversation) ? way(conversation) : []),
    ...(typeof reason === "string" ? [judged(reason, fault, hard, confidence)] : []),
    ...(Array.isArray(dkim) ? [`signed by ${dkim.filter(isRecord).map(signature).join(", ")}`] : []),
    // What the reply says already is not said again.
    ...Object.entries(rest).flatMap(([name, value]) =>
      value === null || value === undefined || value === reply ? [] : [`${name}=${shown(name, value)}`],
    ),
  ];
}

/** Where it went, from where, how it was encrypted, how long it took. */
function way({ mx, ip, localIp, provider, tls, reused, durationMs, ...rest }: Detail): string[] {
  const host = [mx, ip === undefined ? undefined : `[${String(ip)}]`].filter((part) => part !== undefined);
  return [
    [
      ...(provider === undefined ? [] : [`by ${String(provider)}`]),
      ...(host.length === 0 ? [] : [`to ${host.join(" ")}`]),
      ...(localIp === undefined ? [] : [`from ${String(localIp)}`]),
    ].join(" "),
    ...(tls === null ? ["in the clear"] : isRecord(tls) ? [encryption(tls)] : []),
    ...(typeof durationMs === "number"
      ? [`${Math.round(durationMs)} ms${reused === true ? " in a session used before" : ""}`]
      : []),
    ...Object.entries(rest)
      .filter(([name, value]) => typeof value !== "object" && !name.endsWith("Ms"))
      .map(([name, value]) => `${name}=${String(value)}`),
  ].filter((part) => part !== "");
}

function encryption({ version, authorized, problem, certificate, policies }: Detail): string {
  const of =
    isRecord(certificate) && certificate.subject !== undefined ? ` ${String(certificate.subject)}` : "";
  const why = problem === undefined ? "" : ` (${String(problem)})`;
  const asked = Array.isArray(policies) ? policies.filter(isRecord).map(policyWords) : [];
  return [
    `${String(version ?? "TLS")}`,
    `certificate${of} ${authorized === true ? "trusted" : `not trusted${why}`}`,
    ...asked,
  ].join(", ");
}

/** Without a result a policy is met. */
const policyWords = ({ policy, isEnforced, result, why }: Detail) =>
  [
    String(policy),
    isEnforced === true ? "enforced" : "not enforced",
    ...(result === undefined ? [] : [`broken by ${String(result)}`]),
    ...(why === undefined ? [] : [`(${String(why)})`]),
  ].join(" ");

const judged = (reason: string, fault: unknown, hard: unknown, confidence: unknown) =>
  [
    reason,
    fault === undefined ? undefined : `fault of ${String(fault)}`,
    hard === undefined ? undefined : hard === true ? "for good" : "not for good",
    confidence === undefined ? undefined : `confidence ${String(confidence)}`,
  ]
    .filter((part) => part !== undefined)
    .join(", ");

const signature = ({ domain, selector, algorithm }: Detail) =>
  `${String(selector)}._domainkey.${String(domain)} (${String(algorithm)})`;

const isRecord = (value: unknown): value is Detail =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Times are told as times. */
function shown(name: string, value: unknown): string {
  if (typeof value === "number" && name.endsWith("At")) return new Date(value).toISOString();
  return typeof value === "string" ? value : JSON.stringify(value);
}
