import { expect, test } from "bun:test";
import * as wire from "dns-packet";
import { decodeResponse, encodeQuestion, type Question } from "./packet.ts";

const question: Question = { id: 4_711, name: "example.com", type: "MX" };
const base = {
  type: "response",
  id: 4_711,
  flags: wire.RECURSION_DESIRED | wire.RECURSION_AVAILABLE,
  questions: [{ type: "MX", name: "Example.com" }],
} as const satisfies wire.Packet;
const mx = (name: string, exchange: string, ttl = 60): wire.Answer => ({
  type: "MX",
  name,
  ttl,
  data: { preference: 10, exchange },
});

test("an answer carries records, the AD bit and the smallest TTL of its chain", () => {
  const bytes = wire.encode({
    ...base,
    flags: base.flags | wire.AUTHENTIC_DATA,
    answers: [
      { type: "CNAME", name: "EXAMPLE.com", ttl: 20, data: "Target.example.net" },
      mx("target.EXAMPLE.net", "mx.example.net"),
      mx("other.example.org", "mx.evil.example"),
    ],
  });
  expect(decodeResponse(bytes, question)).toEqual({
    kind: "answer",
    answer: {
      status: "ok",
      records: [{ preference: 10, exchange: "mx.example.net" }],
      canonicalName: "target.example.net",
      authenticated: true,
      ttlS: 20,
    },
  });
});

test.each<[string, wire.Packet]>([
  ["another id", { ...base, id: 4_712 }],
  ["another name", { ...base, questions: [{ type: "MX", name: "example.org" }] }],
  ["another type", { ...base, questions: [{ type: "A", name: "example.com" }] }],
  ["no question", { ...base, questions: [] }],
  ["a query", { ...base, type: "query" }],
])("a message with %s answers nothing", (_why, packet) => {
  expect(
    decodeResponse(wire.encode({ ...packet, answers: [mx("example.com", "mx")] }), question),
  ).toBeUndefined();
});

test("a CNAME loop ends as no data", () => {
  const alias = (name: string, data: string): wire.Answer => ({ type: "CNAME", name, ttl: 5, data });
  const bytes = wire.encode({
    ...base,
    answers: [alias("example.com", "b.example"), alias("b.example", "example.com")],
  });
  expect(decodeResponse(bytes, question)).toMatchObject({ kind: "answer", answer: { status: "nodata" } });
});

test("a negative answer lives as long as the SOA says, at most five minutes", () => {
  const soa = (ttl: number, minimum: number): wire.Answer => ({
    type: "SOA",
    name: "com",
    ttl,
    data: { mname: "a.example", rname: "b.example", minimum },
  });
  const ttlOf = (authorities: wire.Answer[]) => {
    const response = decodeResponse(wire.encode({ ...base, flags: base.flags | 3, authorities }), question);
    return response?.kind === "answer" ? [response.answer.status, response.answer.ttlS] : undefined;
  };
  expect(ttlOf([soa(90, 40)])).toEqual(["nxdomain", 40]);
  expect(ttlOf([soa(9_000, 86_400)])).toEqual(["nxdomain", 300]);
  expect(ttlOf([])).toEqual(["nxdomain", 0]);
});

/** A small generator with a seed, so that a failure can be repeated. */
function randomBytes(seed: number) {
  let state = seed;
  return (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test("20,000 broken messages are answers or nothing, never an exception", () => {
  const random = randomBytes(1);
  const whole = wire.encode({
    ...base,
    answers: [
      mx("example.com", "mx1.example.com"),
      { type: "TXT", name: "example.com", ttl: 1, data: ["a", "b".repeat(200)] },
      { type: "CAA", name: "example.com", ttl: 1, data: { flags: 0, tag: "issue", value: "ca.example" } },
      {
        type: "TLSA",
        name: "example.com",
        ttl: 1,
        data: { usage: 3, selector: 1, matchingType: 1, certificate: Buffer.alloc(32) },
      } as wire.Answer,
    ],
    additionals: [
      {
        type: "OPT",
        name: ".",
        udpPayloadSize: 1_232,
        extendedRcode: 0,
        ednsVersion: 0,
        flags: 0,
        flag_do: false,
        options: [],
      },
    ],
  });
  const types = ["MX", "TXT", "CAA", "TLSA", "A", "SOA", "SRV", "CNAME"] as const;
  const seen = new Map<string, number>();
  for (let round = 0; round < 20_000; round++) {
    const bytes = Buffer.from(whole.subarray(0, random(4) === 0 ? random(whole.length + 1) : whole.length));
    for (let change = random(6); change > 0 && bytes.length > 0; change--)
      bytes[random(bytes.length)] = random(256);
    const response = decodeResponse(bytes, { ...question, type: types[random(types.length)] ?? "MX" });
    seen.set(response?.kind ?? "nothing", (seen.get(response?.kind ?? "nothing") ?? 0) + 1);
  }
  // The generator reaches each way through, or it proves nothing.
  expect([...seen.keys()].toSorted()).toEqual(["answer", "failure", "nothing", "truncated"]);
});

test("random bytes behind a right header never crash", () => {
  const random = randomBytes(2);
  const header = wire.encode(base).subarray(0, 12);
  for (let round = 0; round < 20_000; round++) {
    const tail = Buffer.from(Array.from({ length: random(80) }, () => random(256)));
    const bytes = Buffer.concat([header, tail]);
    bytes.writeUInt16BE(random(4), 6);
    decodeResponse(bytes, question);
  }
});

test("a question asks for recursion and the AD bit, with EDNS unless told otherwise", () => {
  const asked = wire.decode(Buffer.from(encodeQuestion(question, true)));
  expect(asked).toMatchObject({
    id: 4_711,
    flag_rd: true,
    flag_ad: true,
    questions: [{ name: "example.com" }],
  });
  expect(asked.additionals).toMatchObject([{ type: "OPT", udpPayloadSize: 1_232 }]);
  expect(wire.decode(Buffer.from(encodeQuestion(question, false))).additionals).toEqual([]);
});

test("TLSA records of every length come back, and one that lies about its length is never read beyond its end", () => {
  const asked: Question = { ...question, type: "TLSA" };
  for (let bytes = 0; bytes <= 80; bytes++) {
    const certificate = Buffer.alloc(bytes, bytes);
    const packet = wire.encode({
      ...base,
      questions: [{ type: "TLSA", name: "example.com" }],
      answers: [
        {
          type: "TLSA",
          name: "example.com",
          ttl: 1,
          data: { usage: 3, selector: 1, matchingType: 1, certificate },
        } as wire.Answer,
      ],
    });
    const whole = decodeResponse(packet, asked);
    expect(whole).toMatchObject({
      kind: "answer",
      answer: {
        records: [{ usage: 3, selector: 1, matchingType: 1, certificate: new Uint8Array(certificate) }],
      },
    });
    const lengthAt = packet.length - bytes - 5;
    for (let claimed = 0; claimed <= bytes + 20; claimed++) {
      const lying = Buffer.from(packet);
      lying.writeUInt16BE(claimed, lengthAt);
      const response = decodeResponse(lying, asked);
      if (response?.kind !== "answer") continue;
      for (const record of response.answer.records) {
        if (typeof record !== "object" || !("certificate" in record)) throw new Error("no TLSA record");
        expect(record.certificate.length).toBeLessThanOrEqual(Math.min(bytes, Math.max(0, claimed - 3)));
      }
    }
  }
});
