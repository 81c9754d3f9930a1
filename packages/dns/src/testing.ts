/**
 * A DNS server inside the test process, over UDP and TCP on one port of the loopback interface. A zone is a literal:
 *
 *     const dns = await startDns({
 *       "example.com": { MX: [{ preference: 10, exchange: "mx.example.com" }], TXT: ["v=spf1 -all"] },
 *       "mx.example.com": { A: ["127.0.0.1"] },
 *       "alias.example.com": { CNAME: ["mx.example.com"] },
 *       "broken.example": "servfail",
 *       "silent.example": "drop",
 *       "*.many.example": { A: ["127.0.0.1"] },
 *     });
 *     const resolver = createResolver({ servers: dns.servers });
 *
 * A name that stands nowhere is NXDOMAIN; a name that has other types, or names below it, is NODATA (RFC 8020).
 */
import { createServer } from "node:net";
import * as wire from "dns-packet";
import type { RecordData, RecordType } from "./records.ts";
import type { Server } from "./servers.ts";

export type ZoneRecords = {
  [T in RecordType]?: readonly (T extends "TXT" ? string | string[] : RecordData[T])[];
} & {
  ttlS?: number;
  /** Answer after this time. */
  delayMs?: number;
  /** Answer FORMERR to a question with an OPT record, as servers from before EDNS do. */
  refusesEdns?: boolean;
  /** Signed: the AD bit is set when every name of the answer's chain is. */
  authenticated?: boolean;
};
/** `drop` never answers; `garbage` answers with bytes that are no DNS. */
export type ZoneEntry =
  | ZoneRecords
  | "servfail"
  | "refused"
  | "drop"
  | "garbage"
  | "formerr-edns"
  | "nxdomain";
export type Zone = Record<string, ZoneEntry>;

export type DnsServer = {
  servers: Server[];
  /** Every question in the order it came. */
  queries: { name: string; type: string; over: "udp" | "tcp" }[];
  /** Changes one name from now on; `undefined` takes it away. */
  set(name: string, entry: ZoneEntry | undefined): void;
  stop(): Promise<void>;
};

const negativeTtlS = 60;
const portTriesMax = 20;

export async function startDns(literal: Zone = {}, host = "127.0.0.1"): Promise<DnsServer> {
  const zone = new Map(Object.entries(literal).map(([name, entry]) => [name.toLowerCase(), entry]));
  const queries: DnsServer["queries"] = [];

  async function answer(bytes: Buffer, over: "udp" | "tcp"): Promise<Uint8Array | undefined> {
    const query = wire.decode(bytes);
    const question = query.questions?.[0];
    if (question === undefined) return undefined;
    const name = question.name.toLowerCase();
    queries.push({ name, type: question.type, over });
    const entry = find(zone, name);
    if (entry === "drop") return undefined;
    if (entry === "garbage") return Buffer.from("this is not a DNS message");
    const edns = query.additionals?.find((record) => record.type === "OPT");
    if (typeof entry === "object" && entry.delayMs !== undefined) await Bun.sleep(entry.delayMs);

    const reply = respond(zone, name, question.type, edns !== undefined);
    const packet: wire.Packet = {
      type: "response",
      id: query.id,
      flags: wire.RECURSION_DESIRED | wire.RECURSION_AVAILABLE | reply.flags,
      questions: [question],
      answers: reply.answers,
      ...(reply.answers.length === 0 ? { authorities: [soa] } : {}),
    };
    const encoded = wire.encode(packet);
    const bytesMax = over === "tcp" ? 65_535 : (edns?.udpPayloadSize ?? 512);
    if (encoded.length <= bytesMax) return encoded;
    return wire.encode({
      ...packet,
      flags: (packet.flags ?? 0) | wire.TRUNCATED_RESPONSE,
      answers: [],
      authorities: [],
    });
  }

  const tcp = createServer((socket) => {
    let received = Buffer.alloc(0);
    socket.on("error", () => socket.destroy());
    socket.on("data", async (part: Buffer) => {
      received = Buffer.concat([received, part]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
      const reply = await answer(received.subarray(2, 2 + received.readUInt16BE(0)), "tcp");
      if (reply === undefined) return;
      const length = Buffer.alloc(2);
      length.writeUInt16BE(reply.length);
      socket.write(Buffer.concat([length, reply]));
    });
  });
  const port = await listen(tcp, host);
  const udp = await Bun.udpSocket({
    hostname: host,
    port,
    socket: {
      async data(socket, datagram, fromPort, fromHost) {
        const reply = await answer(Buffer.from(datagram), "udp");
        if (reply !== undefined && !socket.closed) socket.send(reply, fromPort, fromHost);
      },
    },
  });
  return {
    servers: [{ host, port }],
    queries,
    set(name, entry) {
      if (entry === undefined) zone.delete(name.toLowerCase());
      else zone.set(name.toLowerCase(), entry);
    },
    async stop() {
      udp.close();
      await new Promise((resolve) => tcp.close(resolve));
    },
  };
}

/** A port that is free for both protocols: TCP picks one, and gives it back when UDP has it taken. */
async function listen(tcp: ReturnType<typeof createServer>, host: string): Promise<number> {
  for (let attempt = 0; attempt < portTriesMax; attempt++) {
    await new Promise<void>((resolve, reject) => {
      tcp.once("error", reject);
      tcp.listen(0, host, resolve);
    });
    const address = tcp.address();
    if (typeof address === "object" && address !== null && (await isFreeForUdp(host, address.port)))
      return address.port;
    await new Promise((resolve) => tcp.close(resolve));
  }
  throw new Error("no port is free for UDP and TCP");
}

async function isFreeForUdp(hostname: string, port: number): Promise<boolean> {
  try {
    (await Bun.udpSocket({ hostname, port })).close();
    return true;
  } catch {
    // Taken by somebody else: the caller tries another port.
    return false;
  }
}

function find(zone: ReadonlyMap<string, ZoneEntry>, name: string): ZoneEntry | undefined {
  const exact = zone.get(name);
  if (exact !== undefined) return exact;
  for (let rest = name; rest.includes("."); ) {
    rest = rest.slice(rest.indexOf(".") + 1);
    const wildcard = zone.get(`*.${rest}`);
    if (wildcard !== undefined) return wildcard;
  }
  return undefined;
}

const rcodes = { servfail: 2, formerr: 1, nxdomain: 3, refused: 5 } as const;

function respond(
  zone: ReadonlyMap<string, ZoneEntry>,
  asked: string,
  type: string,
  hasEdns: boolean,
): { flags: number; answers: wire.Answer[] } {
  const answers: wire.Answer[] = [];
  let name = asked;
  let isSigned = true;
  for (let step = 0; step < 8; step++) {
    const entry = find(zone, name);
    if (entry === "servfail" || entry === "refused" || entry === "nxdomain")
      return { flags: rcodes[entry], answers };
    if (typeof entry !== "object") {
      const hasChildren = [...zone.keys()].some((key) => key.endsWith(`.${name}`));
      return { flags: entry === undefined && !hasChildren ? rcodes.nxdomain : 0, answers };
    }
    if (entry.refusesEdns === true && hasEdns) return { flags: rcodes.formerr, answers: [] };
    isSigned &&= entry.authenticated === true;
    const flags = isSigned ? wire.AUTHENTIC_DATA : 0;
    const ttl = entry.ttlS ?? 300;
    const own = entry[type as RecordType];
    if (own !== undefined)
      return {
        flags,
        answers: [...answers, ...own.map((data) => record(name, type as RecordType, ttl, data))],
      };
    const alias = entry.CNAME?.[0];
    if (alias === undefined) return { flags, answers };
    answers.push(record(name, "CNAME", ttl, alias));
    name = alias.toLowerCase();
  }
  return { flags: rcodes.servfail, answers: [] };
}

function record(name: string, type: RecordType, ttl: number, data: unknown): wire.Answer {
  // dns-packet types each record by its own shape; the zone literal was checked by ours.
  return { name, type, ttl, class: "IN", data: wireData(type, data) } as wire.Answer;
}

function wireData(type: RecordType, data: unknown): unknown {
  switch (type) {
    case "TXT":
      return (typeof data === "string" ? split(data) : (data as string[])).map((text) => Buffer.from(text));
    case "MX": {
      const { preference, exchange } = data as RecordData["MX"];
      return { preference, exchange: exchange === "" ? "." : exchange };
    }
    case "TLSA": {
      const { certificate, ...rest } = data as RecordData["TLSA"];
      return { ...rest, certificate: Buffer.from(certificate) };
    }
    case "CAA": {
      const { critical, tag, value } = data as RecordData["CAA"];
      return { issuerCritical: critical, tag, value };
    }
    case "SOA": {
      const { mname, rname, serial, minimumS } = data as RecordData["SOA"];
      return { mname, rname, serial, refresh: 1, retry: 1, expire: 1, minimum: minimumS };
    }
    default:
      return data;
  }
}

/** Character-strings hold at most 255 octets (RFC 1035 §3.3.14). */
const split = (text: string) => text.match(/[\s\S]{1,255}/g) ?? [""];

const soa: wire.Answer = {
  type: "SOA",
  name: ".",
  ttl: negativeTtlS,
  class: "IN",
  data: {
    mname: "ns.invalid",
    rname: "hostmaster.invalid",
    serial: 1,
    refresh: 1,
    retry: 1,
    expire: 1,
    minimum: negativeTtlS,
  },
};
