import { DnsError } from "@tyto/dns";
import { type Destination, parseReportRecord } from "./report.ts";

/**
 * Where a domain wants its reports (RFC 8460 §3): nowhere when it publishes no record, `undefined` when DNS does not
 * tell. `txt` gives the texts of TXT records, or throws DnsError.
 */
export async function destinationsOf(
  domain: string,
  txt: (name: string) => Promise<readonly string[]>,
): Promise<Destination[] | undefined> {
  try {
    return parseReportRecord(await txt(`_smtp._tls.${domain}`));
  } catch (error) {
    if (!(error instanceof DnsError)) throw error;
    return error.kind === "name" ? [] : undefined;
  }
}
