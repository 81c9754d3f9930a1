import { expect, test } from "bun:test";
import { Address } from "@tyto/contracts";
import { openSession } from "../smtp.ts";
import { parseDialog, startScripted } from "../testing.ts";
import { createScribe, type Line } from "./transcript.ts";

const certificate = await Bun.file(`${import.meta.dir}/../../fixtures/tls/mx.test.pem`).text();
const stepMs = 2_000;
const timeouts = {
  connectMs: stepMs,
  greetingMs: stepMs,
  commandMs: stepMs,
  blockMs: stepMs,
  finalMs: stepMs,
  messageMs: 4 * stepMs,
};

/** The lines of a session of one message of `bytes` with a server that follows the script. */
async function follow(script: string, isHeard = true, bytes = 24) {
  const server = await startScripted(parseDialog("inline", script).connections, certificate);
  const lines: Line[] = [];
  const session = await openSession(
    { name: "mx.test", ip: "127.0.0.1", port: server.port },
    {
      egress: { id: "e", ehloName: "mail.tyto.example" },
      timeouts,
      tls: "modern",
      transcript: { isHeard: () => isHeard, say: (line) => lines.push(line) },
    },
  );
  if ("kind" in session) throw new Error(session.explanation);
  await session.send({
    envelopeId: "id",
    from: Address.parse("b-1@bounces.example.com"),
    to: Address.parse("bob@example.org"),
    parts: [Buffer.from("Subject: a\r\n\r\nSecret".padEnd(bytes - 2, "x")), Buffer.from("\r\n")],
    has8Bit: false,
  });
  const ended = new Promise<void>((resolve) => session.onEnd(resolve));
  session.quit();
  await ended;
  const { timings } = session;
  await server.stop();
  return { lines, timings, text: lines.map(({ side, text }) => `${side} ${text}`) };
}

const opening = `
S: 220 mx.test
C: EHLO *
S: 250-mx.test
S: 250 STARTTLS
C: STARTTLS
S: 220 go ahead
tls
C: EHLO *
S: 250-mx.test
S: 250-PIPELINING
`;

test("a followed session tells all that is said, but never the message", async () => {
  const { text, lines, timings } = await follow(`${opening}S: 250 SIZE
C: MAIL *
C: RCPT *
C: DATA
S: 250 ok
S: 250-fine
S: 250 really
S: 354 go
B:
S: 250 2.0.0 queued
C: QUIT
`);
  expect(text.filter((line) => !line.startsWith("* "))).toEqual([
    "< 220 mx.test",
    "> EHLO mail.tyto.example",
    "< 250-mx.test",
    "< 250 STARTTLS",
    "> STARTTLS",
    "< 220 go ahead",
    "> EHLO mail.tyto.example",
    "< 250-mx.test",
    "< 250-PIPELINING",
    "< 250 SIZE",
    "> MAIL FROM:<b-1@bounces.example.com> SIZE=24",
    "> RCPT TO:<bob@example.org>",
    "> DATA",
    "< 250 ok",
    "< 250-fine",
    "< 250 really",
    "< 354 go",
    "> (24 bytes)",
    "> .",
    "< 250 2.0.0 queued",
    "> QUIT",
  ]);
  expect(text[0]).toStartWith("* connected to mx.test [127.0.0.1]:");
  expect(text).toContainEqual(expect.stringMatching(/^\* encrypted with TLSv1.3 /));
  expect(lines.find(({ text }) => text.startsWith("MAIL"))?.to).toBe("bob@example.org");
  expect(lines[0]?.to).toBeUndefined();
  expect(Object.keys(timings)).toEqual(["connectMs", "tlsMs", "envelopeMs", "bodyMs", "replyMs"]);
});

test("chunks are told by their size", async () => {
  const { text } = await follow(
    `${opening}S: 250 CHUNKING
C: MAIL *
C: RCPT *
S: 250 ok
S: 250 ok
BDAT
S: 250 ok
C: QUIT
`,
    true,
    100_000,
  );
  expect(text.filter((line) => line.startsWith("> "))).toEqual(
    expect.arrayContaining(["> BDAT 100000 LAST", "> (65536 bytes)", "> (34462 bytes)", "> (2 bytes)"]),
  );
});

test("what nobody hears is not said", async () => {
  const { lines } = await follow(
    `${opening}S: 250 CHUNKING
C: MAIL *
C: RCPT *
S: 250 ok
S: 550 no
C: QUIT
`,
    false,
  );
  expect(lines).toEqual([]);
});

test("secrets are masked", () => {
  const lines: string[] = [];
  const scribe = createScribe({ isHeard: () => true, say: ({ text }) => lines.push(text) });
  scribe.note(">", "AUTH PLAIN AGpvZQBwdw==\r\n");
  expect(lines).toEqual(["AUTH PLAIN ***"]);
});
