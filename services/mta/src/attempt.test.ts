import { beforeEach, expect, test } from "bun:test";
import {
  Address,
  Domain,
  defaultOrganization,
  deliveryId,
  Failure,
  MessageId,
  type QueueEntry,
} from "@tyto/contracts";
import { silentLog } from "@tyto/service";
import { type AttemptPorts, attempt } from "./attempt.ts";
import type { Carried } from "./courier.ts";
import type { SigningKey } from "./dkim.ts";
import type { Host } from "./mx.ts";
import type { Provider } from "./providers/provider.ts";
import type { Mail } from "./smtp.ts";

const messageId = MessageId.parse("01jd4000000000000000000000");
const domain = Domain.parse("example.com");
const entry: QueueEntry = {
  deliveryId: deliveryId(messageId, 0),
  messageId,
  organizationId: defaultOrganization,
  recipient: Address.parse("bob@Example.org"),
  from: Address.parse("ann@example.com"),
  domain,
  attempt: 1,
  bodyBytes: 4,
  bodyChunks: 1,
  recipients: 1,
  acceptedAt: 0,
  expiresAt: 1,
};
const host: Host = { name: "mx.example.org", port: 25, isTrusted: false, isImplicit: false };
const site = { id: "mx.example.org", hosts: [host] };
const egress = { id: "one", ehloName: "mail.test" };
/** How often what was taken of an egress was given back. */
let given = 0;
const key = { domain, selector: "tyto1e", algorithm: "ed25519-sha256" } as SigningKey;
const accepted: Carried = {
  kind: "accepted",
  reply: { code: 250, text: "ok" },
  conversation: { mx: "mx", ip: "192.0.2.1", tls: null, reused: false, durationMs: 1 },
};

let carried: { mail: Mail; hosts: readonly Host[] }[];
beforeEach(() => {
  carried = [];
  given = 0;
});
const ports = (change: Partial<AttemptPorts> = {}): AttemptPorts => ({
  signerOf: async () => ({ returnPathHost: Domain.parse("bounces.example.com"), keys: [key] }),
  findPath: async () => ({ kind: "hosts", hosts: [host], site }),
  leave: () => ({ kind: "go" }),
  egressFor: async () => ({ kind: "egress", egress, giveBack: () => void given++ }),
  contentOf: async () => ({
    bytes: Buffer.from("body"),
    has8Bit: true,
    signed: async () => Buffer.from("sig;"),
  }),
  returnPath: (id, at) => Address.parse(`${id}@${at}`),
  personalFields: (id, at) => Buffer.from(`X-Personal: ${id} ${at}\r\n`),
  demandOf: async ({ name }) => ({
    domain: "example.org",
    host: name,
    clauses: [],
    serverName: name,
    sts: { kind: "none" },
    key: "",
  }),
  async carry(mailOf, hosts) {
    carried.push({ mail: await mailOf(), hosts });
    return accepted;
  },
  log: silentLog,
  ...change,
});

test("the message goes out signed, from its own return path, and says so", async () => {
  const returnPath = Address.parse(`${entry.deliveryId}@bounces.example.com`);
  expect(await attempt(ports())(entry, 0, () => {})).toEqual({
    ...accepted,
    kind: "delivered",
    dkim: [{ domain, selector: "tyto1e", algorithm: "ed25519-sha256" }],
    returnPath,
    via: { site, egress },
  });
  expect(carried).toHaveLength(1);
  expect(carried[0]).toMatchObject({
    hosts: [host],
    mail: { from: returnPath, to: "bob@example.org", has8Bit: true },
  });
  expect(Buffer.concat([...(carried[0]?.mail.parts ?? [])]).toString()).toBe("sig;body");
});

test("only a message that asks for it has fields of its recipient, between signatures and message", async () => {
  await attempt(ports())({ ...entry, unsubscribe: true }, 0, () => {});
  expect(Buffer.concat([...(carried[0]?.mail.parts ?? [])]).toString()).toBe(
    `sig;X-Personal: ${entry.deliveryId} bounces.example.com\r\nbody`,
  );
});

test.each<[string, Partial<AttemptPorts>, Record<string, unknown>]>([
  ["no keys", { signerOf: async () => undefined }, { reason: "sender.unsigned", isPermanent: false }],
  [
    "no path",
    {
      findPath: async () => ({ kind: "none", isPermanent: true, reason: "domain.unknown", explanation: "x" }),
    },
    { reason: "domain.unknown", isPermanent: true },
  ],
  [
    "a body that is gone",
    { contentOf: async () => Promise.reject(new Failure("resource.unknown", "gone")) },
    { reason: "local.trouble", isPermanent: true },
  ],
  [
    "a bus that is away",
    { contentOf: async () => Promise.reject(new Failure("upstream.down", "away")) },
    { reason: "local.trouble", isPermanent: false },
  ],
  [
    "a signature that fails",
    {
      contentOf: async () => ({
        bytes: Buffer.alloc(1),
        has8Bit: false,
        signed: async () => Promise.reject(new Error("bad key")),
      }),
    },
    { reason: "local.trouble", isPermanent: false },
  ],
  [
    "an error that nobody foresaw",
    { signerOf: async () => Promise.reject(new TypeError("x is not a function")) },
    { reason: "local.trouble", isPermanent: false },
  ],
])("with %s nothing is sent", async (_what, change, expected) => {
  expect(await attempt(ports(change))(entry, 0, () => {})).toMatchObject({
    kind: "failed",
    isInDoubt: false,
    ...expected,
  });
  expect(carried).toEqual([]);
});

test.each<[string, Partial<AttemptPorts>, number]>([
  ["somebody holds it back", { leave: () => ({ kind: "wait", untilMs: 7, why: "held" }) }, 0],
  [
    "no address of ours may send it",
    { egressFor: async () => ({ kind: "wait", untilMs: 7, why: "held" }) },
    0,
  ],
  ["its turn is far away", { carry: async () => ({ kind: "wait", untilMs: 7, why: "held" }) }, 1],
])("when %s, it waits, and nothing is used up", async (_what, change, back) => {
  expect(await attempt(ports(change))(entry, 0, () => {})).toEqual({
    kind: "wait",
    untilMs: 7,
    why: "held",
    site,
  });
  expect(given).toBe(back);
});

test("what no address may send now waits; where the pool overflows, the overflow provider takes it", async () => {
  const why = "no address of the pool bulk may send this now";
  const waits = async (kind: "wait" | "overflow", change: Partial<AttemptPorts> = {}) =>
    attempt(ports({ egressFor: async () => ({ kind, untilMs: 9_000, why }), ...change }))(entry, 0, () => {});
  expect(await waits("wait")).toEqual({ kind: "wait", untilMs: 9_000, why, site });
  expect(await waits("overflow")).toEqual({ kind: "wait", untilMs: 9_000, why, site });

  const provider: Provider = {
    ...{ name: "ses", rewrites: [], keepsSignatures: true, keepsPromises: false },
    carry: async () => accepted,
    close() {},
  };
  const providers = { of: () => undefined, overflow: () => provider };
  expect(await waits("wait", { providers })).toMatchObject({ kind: "wait" });
  expect(await waits("overflow", { providers })).toMatchObject({ kind: "delivered" });
  expect(carried).toEqual([]);
});
