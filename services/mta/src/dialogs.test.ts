/** Every file in fixtures/dialogs is a test: a mail server that behaves so, and what the message must come to. */
import { expect, test } from "bun:test";
import {
  Address,
  Domain,
  defaultOrganization,
  deliveryId,
  MessageId,
  type QueueEntry,
} from "@tyto/contracts";
import { createResolver } from "@tyto/dns";
import { type Carried, carry } from "./courier.ts";
import { openHost } from "./opening.ts";
import { type Failed, settle } from "./outcome.ts";
import { createPool, fixedLimits } from "./pool/pool.ts";
import type { Mail } from "./smtp.ts";
import { type Dialog, parseDialog, startScripted, wantOf } from "./testing.ts";

const fixtures = `${import.meta.dir}/../fixtures`;
const certificate = await Bun.file(`${fixtures}/tls/mx.test.pem`).text();
const dialogs = await Promise.all(
  [...new Bun.Glob("*.dialog").scanSync(`${fixtures}/dialogs`)]
    .toSorted()
    .map(async (file) =>
      parseDialog(file.replace(".dialog", ""), await Bun.file(`${fixtures}/dialogs/${file}`).text()),
    ),
);

const isSilent = ({ connections }: Dialog) => connections.flat().some(({ verb }) => verb === "stall");
/** Servers that fall silent are given up soon, so that they do not hold up the suite, on a busy machine later; the others may be slow. */
const silentStepMs = { soon: 500, later: 10_000 };
const slowStepMs = 60_000;
const playMsMax = 120_000;

function timeoutsOf(stepMs: number) {
  return {
    connectMs: stepMs,
    greetingMs: stepMs,
    commandMs: stepMs,
    blockMs: stepMs,
    finalMs: stepMs,
    messageMs: 5 * stepMs,
  };
}
const resolver = createResolver({ servers: [{ host: "127.0.0.1", port: 9 }], triesMax: 1 });

function mailOf({ mail }: Dialog): Mail {
  const text = typeof mail.text === "string" ? mail.text : "Hello.\r\n";
  const filler = "x".repeat(74);
  const lines = typeof mail.bytes === "number" ? `${filler}\r\n`.repeat(Math.ceil(mail.bytes / 76)) : text;
  return {
    envelopeId: "id",
    from: Address.parse("b-1@bounces.example.com"),
    to: Address.parse(typeof mail.to === "string" ? mail.to : "bob@example.org"),
    parts: [Buffer.from("Subject: test\r\n"), Buffer.from(`\r\n${lines}`)],
    has8Bit: /[^\0-\x7f]/.test(text),
    requireTls: mail.requireTls === true,
  };
}

async function play(dialog: Dialog, stepMs: number) {
  const server = await startScripted(dialog.connections, certificate);
  const pool = createPool<Failed>({
    open: (host, _want, signal) =>
      openHost(
        host,
        {
          resolver,
          egress: { id: "test", ehloName: "mail.tyto.example" },
          timeouts: timeoutsOf(stepMs),
          allowPrivate: false,
        },
        signal,
      ),
    connectionsMax: 1,
    limits: fixedLimits(1, 100),
    idleMax: 10,
    idleMsMax: 60_000,
    restMs: 0,
    now: Date.now,
    random: Math.random,
  });
  const host = { name: "127.0.0.1", port: server.port, isTrusted: true, isImplicit: false };
  const results: Carried[] = [];
  for (const _ of dialog.wants)
    results.push(
      await carry(async () => mailOf(dialog), [host], wantOf("site"), pool, {
        siteWaitMs: playMsMax,
        signal: new AbortController().signal,
        hold: (release) => release(),
      }),
    );
  pool.close();
  await server.stop();
  return { results, server };
}

const messageId = MessageId.parse("01jd4000000000000000000000");
const entry: QueueEntry = {
  deliveryId: deliveryId(messageId, 0),
  messageId,
  organizationId: defaultOrganization,
  recipient: Address.parse("bob@example.org"),
  from: Address.parse("ann@example.com"),
  domain: Domain.parse("example.com"),
  attempt: 1,
  bodyBytes: 100,
  bodyChunks: 1,
  recipients: 1,
  acceptedAt: 0,
  expiresAt: 5 * 86_400_000,
};

/** The event that would be published: `mail.mx` names whose server the scripted one plays. */
function eventOf(carried: Carried, { mail }: Dialog) {
  if (carried.kind === "wait" || carried.kind === "interrupted") return undefined;
  const mx = typeof mail.mx === "string" ? mail.mx : "mx.example.org";
  const { conversation } = carried;
  const seen = conversation === undefined ? {} : { conversation: { ...conversation, mx } };
  const outcome =
    carried.kind === "accepted"
      ? { ...carried, kind: "delivered" as const, dkim: [], returnPath: entry.from }
      : { ...carried, ...seen };
  const { event } = settle(entry, outcome, { nowMs: 0, random: () => 0.5, firstWaitMs: 300_000 }).mark;
  return { subject: event.subject, ...event.payload };
}

async function judge(dialog: Dialog, stepMs: number) {
  const { results, server } = await play(dialog, stepMs);
  for (const [index, want] of dialog.wants.entries()) {
    const { body, event, ...expected } = want as { body?: string; event?: object };
    const result = results[index];
    expect(result).toMatchObject(expected);
    if (event !== undefined && result !== undefined) expect(eventOf(result, dialog)).toMatchObject(event);
    if (body !== undefined) expect(server.bodies[index]).toEndWith(body);
  }
  expect(server.faults).toEqual([]);
  expect(server.connections).toBe(dialog.connections.length);
}

for (const dialog of dialogs)
  test.concurrent(
    dialog.name,
    async () => {
      if (!isSilent(dialog)) return await judge(dialog, slowStepMs);
      // On a busy machine the part of the dialogue that is not silent may take longer than that: then with more time.
      return await judge(dialog, silentStepMs.soon).catch(() => judge(dialog, silentStepMs.later));
    },
    playMsMax,
  );
