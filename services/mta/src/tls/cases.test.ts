/**
 * Every file in fixtures/tls/cases is a test: what DNS and the web say about a domain, what the operator and the message
 * ask, how the mail server shows itself, and what has to come of a message to it.
 *
 *     # why this case exists
 *     dns signed               MX and address records are signed (`signed mx`: only MX); unsigned without this line
 *     alias alias.test         the host is an alias of this name, where its TLSA records are; `alias other.test unsigned`
 *     resolver plain           the resolver is not believed about DNSSEC
 *     tlsa 3 1 1 known         a TLSA record of this certificate; `tlsa servfail`, `tlsa silent`; `tlsa unsigned` for all
 *     sts enforce mx.test      the domain's MTA-STS policy; `sts fails certificate|absent|html|garbage`
 *     floor verified           what the operator asks; `require-tls` or `tls-required no`: what the message asks
 *     server known+authority   see startTlsServer
 *     offers REQUIRETLS        what EHLO offers besides
 *     want {…}                 a part of the result; `why …` a part of its explanation
 *     sni alias.test           the name that the server hears
 *     counted sts ok           what the report to the domain counts, in order
 */
import { expect, test } from "bun:test";
import { Address } from "@tyto/contracts";
import { createResolver } from "@tyto/dns";
import { startDns, type Zone } from "@tyto/dns/testing";
import { silentLog } from "@tyto/service";
import { carry } from "../courier.ts";
import { findPath } from "../mx.ts";
import { openHost } from "../opening.ts";
import type { Failed } from "../outcome.ts";
import { createPool, fixedLimits } from "../pool/pool.ts";
import { wantOf } from "../testing.ts";
import { parseFloors } from "./floor.ts";
import type { HttpsAnswer } from "./https.ts";
import { createTlsPolicies } from "./policies.ts";
import { pemOf, startTlsServer, tlsaOf } from "./testing.ts";
import type { Tlsa } from "./tlsa.ts";

const folder = `${import.meta.dir}/../../fixtures/tls/cases`;
const files = [...new Bun.Glob("*.case").scanSync(folder)].toSorted();

type Lines = { [name: string]: string[] };
const knownLines =
  /^(dns|alias|sni|resolver|tlsa|sts|floor|require-tls|tls-required|server|offers|want|why|counted)(?: (.*))?$/;

function parseCase(name: string, text: string): Lines {
  const lines: Lines = {};
  for (const line of text.split("\n")) {
    if (line.startsWith("#") || line.trim() === "") continue;
    const [, verb, rest = ""] = knownLines.exec(line) ?? [];
    if (verb === undefined) throw new Error(`${name}: cannot read ${JSON.stringify(line)}`);
    lines[verb] = [...(lines[verb] ?? []), rest];
  }
  return lines;
}

/** No server here falls silent, and a busy machine is slow. */
const stepMs = 10_000;
const timeouts = {
  connectMs: stepMs,
  greetingMs: stepMs,
  commandMs: stepMs,
  blockMs: stepMs,
  finalMs: stepMs,
  messageMs: stepMs,
};

function zoneOf(lines: Lines, port: number): Zone {
  const [dns = "unsigned"] = lines.dns ?? [];
  const isMxSigned = dns.startsWith("signed");
  const isHostSigned = dns === "signed";
  const tlsa = lines.tlsa ?? [];
  const records = tlsa.filter((line) => /^\d/.test(line)).map(recordOf);
  const zone: Zone = {
    "example.org": { MX: [{ preference: 10, exchange: "mx.test" }], authenticated: isMxSigned },
    "mx.test": { A: ["127.0.0.1"], authenticated: isHostSigned },
  };
  const [alias, state] = lines.alias?.[0]?.split(" ") ?? [];
  if (alias !== undefined) {
    zone["mx.test"] = { CNAME: [alias], authenticated: isHostSigned };
    zone[alias] = { A: ["127.0.0.1"], authenticated: isHostSigned && state !== "unsigned" };
  }
  const tlsaName = `_${port}._tcp.${state === "unsigned" ? "mx.test" : (alias ?? "mx.test")}`;
  if (tlsa.includes("servfail")) zone[tlsaName] = "servfail";
  else if (tlsa.includes("silent")) zone[tlsaName] = "drop";
  else if (records.length > 0)
    zone[tlsaName] = { TLSA: records, authenticated: isHostSigned && !tlsa.includes("unsigned") };
  if (lines.sts !== undefined) zone["_mta-sts.example.org"] = { TXT: ["v=STSv1; id=20260101;"] };
  return zone;
}

function recordOf(line: string): Tlsa {
  const [usage = "", selector = "", matchingType = "", name = ""] = line.split(" ");
  if (!name.startsWith("hex:")) return tlsaOf(Number(usage), Number(selector), Number(matchingType), name);
  return {
    usage: Number(usage),
    selector: Number(selector),
    matchingType: Number(matchingType),
    certificate: new Uint8Array(Buffer.from(name.slice(4), "hex")),
  };
}

function answerOf([line = ""]: string[] = []): HttpsAnswer {
  const [mode = "", ...mx] = line.split(" ");
  const text = { kind: "answer", status: 200, mediaType: "text/plain" } as const;
  if (mode !== "fails")
    return {
      ...text,
      text: `version: STSv1\r\nmode: ${mode}\r\n${mx.map((name) => `mx: ${name}\r\n`).join("")}max_age: 86400\r\n`,
    };
  switch (mx[0]) {
    case "certificate":
      return { kind: "failed", isCertificate: true, why: "ERR_TLS_CERT_ALTNAME_INVALID" };
    case "html":
      return { ...text, mediaType: "text/html", text: "<p>404</p>" };
    case "garbage":
      return { ...text, text: "version: STSv1\nmode: maybe\n" };
    default:
      return { kind: "answer", status: 404, mediaType: "text/plain", text: "" };
  }
}

async function play(lines: Lines) {
  const server = await startTlsServer(lines.server?.[0] ?? "known", lines.offers ?? []);
  const dns = await startDns(zoneOf(lines, server.port));
  const resolver = createResolver({
    servers: dns.servers,
    validates: lines.resolver === undefined,
    // All look-ups of a case have it, and those that are answered may be slow.
    timeoutMs: lines.tlsa?.includes("silent") ? 2_000 : 5_000,
    triesMax: 1,
  });
  const counted: string[] = [];
  const policies = createTlsPolicies({
    resolver,
    https: async () => answerOf(lines.sts),
    floors: parseFloors(lines.floor === undefined ? "" : `example.org=${lines.floor[0]}`),
    policies: { get: async () => undefined, put: async () => {} },
    tallies: { put: async () => {}, watch: async () => ({ stop() {} }) },
    claims: { get: async () => undefined, put: async () => {}, create: async () => true },
    reporter: undefined,
    mailReport: async () => "no mail here",
    count: (type, result) => void counted.push(`${type} ${result}`),
    process: "test",
    now: Date.now,
    random: () => 0,
    log: silentLog,
  });
  const pool = createPool<Failed>({
    open: (host, _want, signal) =>
      openHost(
        host,
        {
          resolver,
          egress: { id: "test", ehloName: "mail.tyto.example" },
          timeouts,
          allowPrivate: true,
          authorities: [pemOf("authority")],
          see: policies.see,
        },
        signal,
      ),
    connectionsMax: 1,
    limits: fixedLimits(1, 10),
    idleMax: 1,
    idleMsMax: 1_000,
    restMs: 0,
    now: Date.now,
    random: Math.random,
  });
  const path = await findPath("example.org", {
    resolver,
    routes: new Map(),
    ownHost: "mail.tyto.example",
    smtpPort: server.port,
    random: () => 0,
  });
  if (path.kind === "none") throw new Error(path.explanation);
  const requireTls =
    lines["require-tls"] !== undefined ? true : lines["tls-required"] !== undefined ? false : undefined;
  const result = await carry(
    async () => ({
      envelopeId: "id",
      from: Address.parse("b@bounces.example.com"),
      to: Address.parse("bob@example.org"),
      parts: [Buffer.from("Subject: x\r\n\r\nHello\r\n")],
      has8Bit: false,
      requireTls: requireTls === true,
    }),
    path.hosts,
    wantOf("site"),
    pool,
    {
      siteWaitMs: 10_000,
      signal: new AbortController().signal,
      hold: (release) => release(),
      demandOf: (each) => policies.demandOf(each, "Example.org", requireTls),
    },
  );
  pool.close();
  await Promise.all([server.stop(), dns.stop()]);
  return { result, server, counted };
}

for (const file of files)
  test.concurrent(file.replace(".case", ""), async () => {
    const lines = parseCase(file, await Bun.file(`${folder}/${file}`).text());
    const { result, server, counted } = await play(lines);
    const [want = ""] = lines.want ?? [];
    expect(result).toMatchObject(JSON.parse(want));
    const explanation = "explanation" in result ? result.explanation : "";
    for (const why of lines.why ?? []) expect(explanation).toContain(why);
    expect(counted).toEqual(lines.counted ?? []);
    if (lines.sni !== undefined) expect(server.serverNames).toEqual(lines.sni);
    const mail = server.commands.filter((command) => command.includes("MAIL FROM"));
    if (result.kind !== "accepted") expect(mail).toEqual([]);
    if (lines["require-tls"] !== undefined && result.kind === "accepted")
      expect(mail).toEqual([expect.stringMatching(/^tls MAIL FROM:<.*> .*REQUIRETLS/)]);
  });
