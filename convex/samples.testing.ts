/** What the tests of convex/ share: one event of each kind, the deployment under test, and its callers. */
import { events, type Payload, type StoredEvent, type Subject } from "@tyto/contracts";
import { convexTest, type TestOptions } from "@tyto/convex-local/testing";
import { issuers } from "./model/issuers.ts";
import schema from "./schema.ts";

const modules = Object.fromEntries(
  [...new Bun.Glob("**/*.ts").scanSync(import.meta.dir)].map((file) => [
    `./${file}`,
    () => import(`${import.meta.dir}/${file}`),
  ]),
);

export const webhookSecret = `whsec_${Buffer.from("a secret of the tests, 32 bytes!").toString("base64")}`;

export const startConvex = (options: TestOptions = {}) =>
  convexTest(schema, modules, { env: { MTA_WEBHOOK_SECRET: webhookSecret }, ...options });
export type TestDeployment = ReturnType<typeof startConvex>;

export const asGateway = (t: TestDeployment) =>
  t.withIdentity({ issuer: issuers.gateway, subject: "gateway", role: "service" });
export const asRecorder = (t: TestDeployment) =>
  t.withIdentity({ issuer: issuers.recorder, subject: "recorder", role: "service" });

/** Ids of the events that were applied to messages. */
export const appliedEvents = (t: TestDeployment) =>
  t.run(async (ctx) => [
    ...(await ctx.db.query("messages").collect()).flatMap(({ events = [] }) =>
      events.map(({ eventId }) => eventId),
    ),
    ...(await ctx.db.query("timeline").collect()).map(({ eventId }) => eventId),
  ]);

/** A person with a row in `users`. */
export async function asUser(t: TestDeployment, user: { disabled?: boolean } = {}) {
  const id = await t.run((ctx) =>
    ctx.db.insert("users", {
      name: "Ada",
      email: "ada@example.com",
      emailVerified: true,
      createdAt: 0,
      updatedAt: 0,
      ...user,
    }),
  );
  return t.withIdentity({ issuer: issuers.gateway, subject: id, role: "user" });
}

/** 2026-01-05 12:00:00 UTC, and the ULID of that time. */
export const noon = Date.UTC(2026, 0, 5, 12);
export const messageId = "01ke70ehg0abcdefghjkmnpqrs";
export const address = (index = 0) => `user${index}@example.net`;

const about = { at: noon, organizationId: "default", messageId };
const conversation = {
  mx: "mx.example.net",
  ip: "192.0.2.1",
  tls: { version: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384", authorized: true },
  reused: false,
  durationMs: 120,
};
const accepted = {
  ...about,
  id: `${messageId}.accepted`,
  messageIdHeader: `${messageId}@example.com`,
  from: "shop@example.com",
  fromName: "Shop",
  domain: "example.com",
  subject: "Your order",
  recipients: [{ address: address(), role: "to" as const }],
  bodyBytes: 1_234,
  bodyChunks: 1,
  attachments: 0,
  tags: ["order"],
  metadata: { order: "17" },
  expiresAt: noon + 432_000_000,
};
const to = (index: number) => ({ ...about, deliveryId: `${messageId}-${index}`, recipient: address(index) });

/** Payloads before parsing: the fields of each subject's contract as plain values. */
const samples: { [S in Subject]: (index: number) => Record<string, unknown> & { id: string } } = {
  "mail.accepted": () => accepted,
  "mail.submitted": () => ({ ...accepted, id: `${messageId}.submitted`, attachments: 1 }),
  "mail.scanned": () => ({
    ...about,
    id: `${messageId}.scanned`,
    at: noon + 500,
    engine: "ClamAV 1.4.3",
    durationMs: 12,
    message: { ...accepted, id: `${messageId}.submitted`, attachments: 1 },
  }),
  "mail.refused": () => ({
    ...about,
    id: `${messageId}.refused`,
    at: noon + 500,
    reason: "content.infected",
    signature: "Eicar-Test-Signature",
  }),
  "mail.held": () => ({ ...about, id: `${messageId}.held`, at: noon + 100, why: "clamd does not answer" }),
  "mail.cancelled": () => ({ ...about, id: `${messageId}.cancelled`, at: noon + 200 }),
  "mail.suppressed": (index) => ({ ...to(index), id: `${messageId}-${index}.suppressed`, at: noon + 50 }),
  "mail.deferred": (index) => ({
    ...to(index),
    id: `${messageId}-${index}.1.deferred`,
    at: noon + 1_000,
    attempt: 1,
    reason: "greylisted",
    reply: { code: 450, enhanced: "4.7.1", text: "Greylisted, see you later" },
    conversation,
    nextAttemptAt: noon + 301_000,
  }),
  "mail.delivered": (index) => ({
    ...to(index),
    id: `${messageId}-${index}.2.delivered`,
    at: noon + 302_000,
    attempt: 2,
    reply: { code: 250, enhanced: "2.0.0", text: "Ok: queued as 4F2A" },
    conversation,
    dkim: [{ domain: "example.com", selector: "tyto1", algorithm: "rsa-sha256" }],
    returnPath: `b-${messageId}@bounces.example.com`,
  }),
  "mail.bounced": (index) => ({
    ...to(index),
    id: `${messageId}-${index}.2.bounced`,
    at: noon + 302_000,
    source: "smtp",
    reason: "mailbox.unknown",
    fault: "recipient",
    hard: true,
    confidence: 1,
    attempt: 2,
    reply: { code: 550, enhanced: "5.1.1", text: "User unknown" },
    conversation,
  }),
  "mail.reported": (index) => ({
    ...to(index),
    id: `${messageId}-${index}.reported`,
    at: noon + 600_000,
    action: "delayed",
    status: "4.4.1",
    diagnostic: "smtp; connection timed out",
    rawId: "raw1",
  }),
  "mail.received": () => ({
    id: "inbound1.received",
    at: noon,
    organizationId: "default",
    inboundId: "inbound1",
    kind: "mail",
    envelopeFrom: "someone@example.org",
    envelopeTo: "hello@example.com",
    subject: "A question",
    authentication: { spf: "pass", dkim: "pass", dmarc: "pass" },
    rawBytes: 2_048,
    rawChunks: 1,
    remoteIp: "192.0.2.9",
  }),
  "mail.complained": (index) => ({
    ...about,
    deliveryId: `${messageId}-${index}`,
    id: `${messageId}-${index}.complained`,
    at: noon + 700_000,
    feedback: "abuse",
    format: "arf",
    reporter: "yahoo.com",
    rawId: "raw2",
  }),
  "mail.unsubscribed": (index) => ({
    ...about,
    deliveryId: `${messageId}-${index}`,
    id: `${messageId}-${index}.unsubscribed`,
    at: noon + 800_000,
    method: "one-click",
  }),
  "mail.replied": (index) => ({
    ...about,
    deliveryId: `${messageId}-${index}`,
    id: `${messageId}-${index}.replied`,
    at: noon + 850_000,
    foundBy: "message-id",
    envelopeTo: "support@example.com",
    from: `Bob <${address(index)}>`,
    subject: "Re: Your order",
    text: "Thank you, it arrived.",
    authentication: { spf: "pass", dkim: "pass", dmarc: "pass", arc: "none" },
    rawId: "raw3",
  }),
  "report.dmarc": () => ({
    id: "raw4.0.dmarc",
    at: noon,
    organizationId: "default",
    domain: "example.com",
    reporter: "google.com",
    reportId: "1234567890",
    part: 0,
    beginAt: noon - 86_400_000,
    endAt: noon - 1_000,
    policy: { p: "reject", adkim: "r", aspf: "r" },
    rows: [
      {
        sourceIp: "192.0.2.10",
        count: 7,
        disposition: "none",
        dkimAligned: true,
        spfAligned: true,
        headerFrom: "example.com",
        dkim: [{ domain: "example.com", selector: "tyto1", result: "pass" }],
        spf: [{ domain: "bounces.example.com", result: "pass" }],
      },
      {
        sourceIp: "203.0.113.9",
        count: 2,
        disposition: "reject",
        dkimAligned: false,
        spfAligned: false,
        headerFrom: "example.com",
        dkim: [],
        spf: [{ domain: "spammer.example", result: "pass" }],
      },
    ],
    rawId: "raw4",
  }),
  "report.tls": () => ({
    id: "raw5.0.tls",
    at: noon,
    organizationId: "default",
    domain: "example.com",
    reporter: "google.com",
    reportId: "2026-01-04T00:00:00Z_example.com",
    beginAt: noon - 86_400_000,
    endAt: noon - 1_000,
    policies: [
      {
        type: "sts",
        mxHosts: ["mx.example.com"],
        succeeded: 40,
        failed: 2,
        failures: [{ result: "certificate-expired", count: 2, receivingMx: "mx.example.com" }],
      },
    ],
    rawId: "raw5",
  }),
  "sending.held": () => ({
    id: "organization.default.1767614400000.held",
    at: noon,
    organizationId: "default",
    scope: "organization",
    scopeId: "default",
    why: "9 of the last 50 recipients do not exist",
    by: "breaker:bounces",
    untilAt: noon + 1_800_000,
  }),
  "sending.released": () => ({
    id: "organization.default.1767614400000.released",
    at: noon + 60_000,
    organizationId: "default",
    scope: "organization",
    scopeId: "default",
    by: "ann",
    heldAt: noon,
  }),
  "egress.quarantined": () => ({
    id: "mail1.listed.1767614400000.quarantined",
    at: noon,
    organizationId: "default",
    egress: "mail1",
    ip: "198.51.100.7",
    kind: "listed",
    why: "zen.spamhaus.org lists 198.51.100.7 (127.0.0.2)",
  }),
  "egress.released": () => ({
    id: "mail1.listed.1767614400000.released",
    at: noon + 3_600_000,
    organizationId: "default",
    egress: "mail1",
    ip: "198.51.100.7",
    kind: "listed",
    quarantinedAt: noon,
  }),
  "domain.keyed": () => ({
    id: "example.com.keyed",
    at: noon,
    organizationId: "default",
    domain: "example.com",
    keys: [
      { selector: "tyto1", algorithm: "rsa-sha256", publicKey: "UFVC", sealedPrivateKey: "sealed one" },
      { selector: "tyto2", algorithm: "ed25519-sha256", publicKey: "UFVC", sealedPrivateKey: "sealed two" },
    ],
  }),
};

/** An event that keeps its contract; `changed` replaces fields, `index` chooses the recipient. */
export function sample<S extends Subject>(
  subject: S,
  changed: Record<string, unknown> = {},
  index = 0,
): Extract<StoredEvent, { subject: S }> {
  const payload = events[subject].parse({ ...samples[subject](index), ...changed }) as Payload<S>;
  return { subject, payload } as Extract<StoredEvent, { subject: S }>;
}

/** A later failure that the remote server reported by a DSN after it had taken the mail. */
export const lateBounce = (changed: Record<string, unknown> = {}, index = 0) =>
  sample(
    "mail.bounced",
    {
      id: `${messageId}-${index}.dsn`,
      at: noon + 900_000,
      source: "dsn",
      attempt: undefined,
      conversation: undefined,
      remoteMta: "mail.example.net",
      ...changed,
    },
    index,
  );

/** Every order of the items. */
export function permutations<T>(items: readonly T[]): T[][] {
  if (items.length <= 1) return [[...items]];
  return items.flatMap((item, index) =>
    permutations([...items.slice(0, index), ...items.slice(index + 1)]).map((rest) => [item, ...rest]),
  );
}
