/** A policy of MTA-STS as its domain publishes it (RFC 8461 §3.2). */
export type StsPolicy = {
  mode: "enforce" | "testing" | "none";
  /** Names of mail servers, or `*.example.com` for one label more. Lower case. */
  mx: readonly string[];
  maxAgeS: number;
};

/** RFC 8461 §3.2: a year at most. */
const maxAgeSMax = 31_557_600;
const mxMax = 100;
const linesMax = 1_000;
const isHostPattern = /^(\*\.)?[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*$/;

/**
 * The id of a domain's TXT records at `_mta-sts`, or `undefined` when the domain has no policy: anything but exactly one
 * record that begins with `v=STSv1;` is none (RFC 8461 §3.1).
 */
export function parseStsRecord(records: readonly string[]): string | undefined {
  const [record, ...others] = records.filter((text) => /^v=STSv1\s*;/.test(text));
  if (record === undefined || others.length > 0) return undefined;
  const id = record
    .split(";")
    .slice(1)
    .map((field) => /^\s*id\s*=\s*([A-Za-z0-9]{1,32})\s*$/.exec(field)?.[1])
    .find((found) => found !== undefined);
  return id;
}

/**
 * Reads a policy (RFC 8461 §3.2): unknown fields are left out, of repeated ones the first counts, except `mx`. A string is
 * what is wrong with it.
 */
export function parseStsPolicy(text: string): StsPolicy | string {
  const fields = new Map<string, string>();
  const mx: string[] = [];
  const lines = text.split(/\r?\n/);
  if (lines.length > linesMax) return `it has more than ${linesMax} lines`;
  for (const line of lines) {
    const [, name, value = ""] = /^[ \t]*([A-Za-z0-9_.-]{1,32})[ \t]*:[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    if (name === undefined) {
      if (line.trim() !== "") return `a line is no field: ${JSON.stringify(line.slice(0, 60))}`;
      continue;
    }
    if (name === "mx") mx.push(value.toLowerCase().replace(/\.$/, ""));
    else if (!fields.has(name)) fields.set(name, value);
  }
  const mode = fields.get("mode");
  const maxAge = fields.get("max_age") ?? "";
  if (fields.get("version") !== "STSv1") return "its version is not STSv1";
  if (mode !== "enforce" && mode !== "testing" && mode !== "none") return "its mode is none that is known";
  if (!/^\d{1,10}$/.test(maxAge)) return "max_age is no number of seconds";
  if (mode !== "none" && mx.length === 0) return "it names no mx";
  if (mx.length > mxMax) return `it names more than ${mxMax} mx`;
  const wrong = mx.find((pattern) => pattern.length > 255 || !isHostPattern.test(pattern));
  if (wrong !== undefined) return `mx: ${JSON.stringify(wrong.slice(0, 60))} is no host name`;
  return { mode, mx, maxAgeS: Math.min(Number(maxAge), maxAgeSMax) };
}

/** Whether the policy allows a mail server. A wildcard stands for exactly one label (RFC 8461 §4.1). */
export function allowsMx({ mx }: StsPolicy, host: string): boolean {
  const name = host.toLowerCase().replace(/\.$/, "");
  const parent = name.slice(name.indexOf(".") + 1);
  return mx.some((pattern) =>
    pattern.startsWith("*.") ? name.includes(".") && pattern.slice(2) === parent : pattern === name,
  );
}
