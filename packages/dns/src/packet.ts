import * as wire from "dns-packet";
import type { Answer, RecordData, RecordType } from "./records.ts";

/** Payload size that crosses every path without fragments (DNS flag day 2020). */
const udpPayloadBytes = 1_232;
/** RFC 2308 §5 allows hours; five minutes let a new MX record be seen soon. */
const negativeTtlSMax = 300;
const ttlSMax = 86_400;
/** A chain longer than this is a loop or an attack; resolvers in the wild stop between 8 and 16. */
const cnamesMax = 16;

export type Question = { id: number; name: string; type: RecordType };

/** What a server said to a question. */
export type Response =
  | { kind: "answer"; answer: Answer<RecordType> }
  /** The UDP answer did not fit: ask again over TCP. */
  | { kind: "truncated" }
  /** SERVFAIL and the like. `withoutEdns`: the server may do better without the OPT record (RFC 6891 §7). */
  | { kind: "failure"; rcode: string; withoutEdns: boolean };

/** A query on the wire (RFC 1035 §4), with an OPT record where the server knows EDNS (RFC 6891). */
export function encodeQuestion(question: Question, edns: boolean): Uint8Array {
  return wire.encode({
    type: "query",
    id: question.id,
    // AD in a query asks for AD in the answer without the signatures themselves (RFC 6840 §5.7).
    flags: wire.RECURSION_DESIRED | wire.AUTHENTIC_DATA,
    questions: [{ type: question.type, name: question.name }],
    ...(edns ? { additionals: [opt] } : {}),
  });
}

const opt: wire.OptAnswer = {
  type: "OPT",
  name: ".",
  udpPayloadSize: udpPayloadBytes,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
};

/**
 * Reads a datagram. `undefined`: it is no DNS message, or no response to this question (other id, name or type), and
 * has to be treated as if it had never come (RFC 5452 §9.1).
 */
export function decodeResponse(bytes: Uint8Array, question: Question): Response | undefined {
  let packet: wire.DecodedPacket & { rcode: string };
  try {
    packet = wire.decode(Buffer.from(bytes)) as typeof packet;
  } catch {
    // Any parse error means the same: these bytes answer nothing.
    return undefined;
  }
  const asked = packet.questions?.[0];
  const isOurs =
    packet.flag_qr &&
    packet.id === question.id &&
    packet.questions?.length === 1 &&
    asked?.type === question.type &&
    asked.class === "IN" &&
    asked.name.toLowerCase() === question.name;
  if (!isOurs) return undefined;

  const extended = packet.additionals?.find((record) => record.type === "OPT")?.extendedRcode ?? 0;
  if (extended !== 0) return { kind: "failure", rcode: `extended rcode ${extended << 4}`, withoutEdns: true };
  if (packet.flag_tc) return { kind: "truncated" };
  if (packet.rcode !== "NOERROR" && packet.rcode !== "NXDOMAIN")
    return {
      kind: "failure",
      rcode: packet.rcode,
      withoutEdns: packet.rcode === "FORMERR" || packet.rcode === "NOTIMP",
    };
  return { kind: "answer", answer: readAnswer(packet, question) };
}

function readAnswer(packet: wire.DecodedPacket & { rcode: string }, question: Question): Answer<RecordType> {
  const answers = packet.answers ?? [];
  let name = question.name;
  let ttlS = ttlSMax;
  if (question.type !== "CNAME")
    for (let step = 0; step < cnamesMax; step++) {
      const alias = answers.find(
        (record): record is wire.StringAnswer => record.type === "CNAME" && sameName(record.name, name),
      );
      if (alias === undefined) break;
      name = plainName(alias.data).toLowerCase();
      ttlS = Math.min(ttlS, alias.ttl ?? 0);
    }
  const own = answers.filter(
    (record) =>
      record.type === question.type &&
      "class" in record &&
      record.class === "IN" &&
      sameName(record.name, name),
  );
  const common = { canonicalName: name, authenticated: packet.flag_ad };
  if (packet.rcode === "NOERROR" && own.length > 0) {
    const records = own.map(readData).filter((data) => data !== undefined);
    for (const record of own) ttlS = Math.min(ttlS, ("ttl" in record ? record.ttl : 0) ?? 0);
    return { status: "ok", records, ttlS, ...common };
  }
  return {
    status: packet.rcode === "NXDOMAIN" ? "nxdomain" : "nodata",
    records: [],
    ttlS: Math.min(ttlS, negativeTtlS(packet)),
    ...common,
  };
}

/** RFC 2308 §5: the smaller of the SOA record's TTL and its minimum field; without a SOA, not cached. */
function negativeTtlS(packet: wire.DecodedPacket): number {
  const soa = packet.authorities?.find((record): record is wire.SoaAnswer => record.type === "SOA");
  return soa === undefined ? 0 : Math.min(soa.ttl ?? 0, soa.data.minimum ?? 0, negativeTtlSMax);
}

function readData(record: wire.Answer): RecordData[RecordType] | undefined {
  switch (record.type) {
    case "A":
    case "AAAA":
      return record.data;
    case "CNAME":
    case "NS":
    case "PTR":
      return plainName(record.data);
    case "MX":
      return { preference: record.data.preference ?? 0, exchange: plainName(record.data.exchange) };
    case "TXT":
      return [record.data].flat().map((part) => part.toString());
    case "SRV": {
      const { priority = 0, weight = 0, port, target } = record.data;
      return { priority, weight, port, target: plainName(target) };
    }
    case "CAA":
      return {
        critical: record.data.issuerCritical === true,
        tag: record.data.tag,
        value: record.data.value,
      };
    case "SOA": {
      const { mname, rname, serial = 0, minimum = 0 } = record.data;
      return { mname: plainName(mname), rname: plainName(rname), serial, minimumS: minimum };
    }
    case "TLSA": {
      const { usage, selector, matchingType, certificate } = record.data;
      return { usage, selector, matchingType, certificate: new Uint8Array(certificate) };
    }
    default:
      return undefined;
  }
}

const plainName = (name: string) => (name.endsWith(".") ? name.slice(0, -1) : name);
const sameName = (one: string, lowerCase: string) => plainName(one).toLowerCase() === lowerCase;
