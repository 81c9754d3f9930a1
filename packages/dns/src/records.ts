/** Record types that can be asked for, and the data of one record of each. Host names come without the trailing dot. */
export type RecordData = {
  A: string;
  AAAA: string;
  CNAME: string;
  NS: string;
  PTR: string;
  /** A host name of "." (null MX, RFC 7505) is the empty string. */
  MX: { preference: number; exchange: string };
  /** The character-strings of one record, still apart. */
  TXT: string[];
  SRV: { priority: number; weight: number; port: number; target: string };
  CAA: { critical: boolean; tag: string; value: string };
  SOA: { mname: string; rname: string; serial: number; minimumS: number };
  TLSA: { usage: number; selector: number; matchingType: number; certificate: Uint8Array };
};
export type RecordType = keyof RecordData;

export type Answer<T extends RecordType> = {
  /** `nodata`: the name exists, but has no record of this type. */
  status: "ok" | "nxdomain" | "nodata";
  /** Empty unless `ok`. */
  records: readonly RecordData[T][];
  /** The name at the end of the CNAME chain; the asked name when there is none. */
  canonicalName: string;
  /** The server validated the answer by DNSSEC (the AD bit), and the resolver was told to believe that server. */
  authenticated: boolean;
  /** How long the answer may be used, from now. */
  ttlS: number;
};
