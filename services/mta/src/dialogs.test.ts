/** Every file in fixtures/dialogs is a test: a mail server that behaves so, and what the message must come to. */
import { expect, test } from "bun:test";
import { Address } from "@tyto/contracts";
import { createResolver } from "@tyto/dns";
import { carry } from "./courier.ts";
import { openHost } from "./opening.ts";
import type { Failed } from "./outcome.ts";
import { createPool } from "./pool.ts";
import type { Mail } from "./smtp.ts";
import { type Dialog, parseDialog, startScripted } from "./testing.ts";

const fixtures = `${import.meta.dir}/../fixtures`;
const certificate = await Bun.file(`${fixtures}/tls/mx.test.pem`).text();
const dialogs = await Promise.all(
  [...new Bun.Glob("*.dialog").scanSync(`${fixtures}/dialogs`)]
    .toSorted()
    .map(async (file) =>
      parseDialog(file.replace(".dialog", ""), await Bun.file(`${fixtures}/dialogs/${file}`).text()),
    ),
);

/** Long enough for a busy machine, short enough that a silent server does not hold up the suite. */
const stepMs = 400;
const timeouts = {
  connectMs: stepMs,
  greetingMs: stepMs,
  commandMs: stepMs,
  blockMs: stepMs,
  finalMs: stepMs,
  messageMs: 5 * stepMs,
};
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
    has8Bit: false,
  };
}

async function play(dialog: Dialog) {
  const server = await startScripted(dialog.connections, certificate);
  const pool = createPool<Failed>({
    open: (host, signal) =>
      openHost(
        host,
        { resolver, egress: { id: "test", ehloName: "mail.tyto.example" }, timeouts, allowPrivate: false },
        signal,
      ),
    connectionsMax: 1,
    siteConnectionsMax: 1,
    idleMax: 10,
    idleMsMax: 60_000,
    messagesMax: 100,
    restMs: 0,
    now: Date.now,
  });
  const host = { name: "127.0.0.1", port: server.port, isTrusted: true, isImplicit: false };
  const results = [];
  for (const _ of dialog.wants)
    results.push(
      await carry(async () => mailOf(dialog), [host], pool, {
        siteWaitMs: 5_000,
        signal: new AbortController().signal,
        hold: (release) => release(),
      }),
    );
  pool.close();
  await server.stop();
  return { results, server };
}

for (const dialog of dialogs)
  test.concurrent(dialog.name, async () => {
    const { results, server } = await play(dialog);
    for (const [index, want] of dialog.wants.entries()) {
      const { body, ...result } = want as { body?: string };
      expect(results[index]).toMatchObject(result);
      if (body !== undefined) expect(server.bodies[index]).toEndWith(body);
    }
    expect(server.faults).toEqual([]);
    expect(server.connections).toBe(dialog.connections.length);
  });
