import { DnsError } from "./errors.ts";
import type { RecordData, RecordType } from "./records.ts";
import type { Resolver } from "./resolver.ts";

const types: ReadonlySet<string> = new Set<RecordType>([
  "A",
  "AAAA",
  "CNAME",
  "NS",
  "PTR",
  "MX",
  "TXT",
  "SRV",
  "CAA",
  "SOA",
  "TLSA",
]);

/**
 * The resolver in the shape of `dns.promises.resolve(name, rrtype)`, as mailauth takes it: TXT as lists of
 * character-strings, MX as `{ exchange, priority }`. Rejects with `code` ENOTFOUND (no such name), ENODATA (no such
 * record), ETIMEOUT, EBADNAME or ESERVFAIL.
 */
export function asNodeResolve(resolver: Resolver): (name: string, rrtype?: string) => Promise<unknown[]> {
  return async (name, rrtype = "A") => {
    const type = rrtype.toUpperCase();
    if (!isRecordType(type)) throw coded("ENOTIMP", name, rrtype);
    try {
      const answer = await resolver.query(name, type);
      if (answer.status === "nxdomain") throw coded("ENOTFOUND", name, type);
      if (answer.status === "nodata") throw coded("ENODATA", name, type);
      return answer.records.map((data) => (type === "MX" ? nodeMx(data as RecordData["MX"]) : data));
    } catch (error) {
      if (!(error instanceof DnsError)) throw error;
      throw coded(codes[error.kind], name, type, error);
    }
  };
}

const codes = {
  timeout: "ETIMEOUT",
  unreachable: "ECONNREFUSED",
  refused: "ESERVFAIL",
  malformed: "EBADRESP",
  name: "EBADNAME",
} as const satisfies Record<DnsError["kind"], string>;

const isRecordType = (text: string): text is RecordType => types.has(text);
const nodeMx = ({ exchange, preference }: RecordData["MX"]) => ({ exchange, priority: preference });
const coded = (code: string, name: string, type: string, cause?: unknown) =>
  Object.assign(new Error(`${code} ${type} ${name}`, cause === undefined ? undefined : { cause }), {
    code,
    syscall: `query${type}`,
    hostname: name,
  });
