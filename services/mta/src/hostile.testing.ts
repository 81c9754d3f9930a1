/**
 * A mail server that means harm, for fuzzing: every reply, cut, flood and stall is drawn from a seed. It remembers what
 * it received and what it answered, so that what the client believes can be judged.
 */
import { createServer, type Socket } from "node:net";
import { createSecureContext, TLSSocket } from "node:tls";
import { Address } from "@tyto/contracts";
import { type Mail, openSession, type Session } from "./smtp.ts";
import type { Sent } from "./trouble.ts";

export type Random = (below: number) => number;

/** Mulberry32: small, even, and the same everywhere. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296) * below);
  };
}

/** What the server knows of one message, by the number in its return path. */
export type Fate = {
  /** The digest of what was received whole, dots taken away. */
  body?: string;
  /** All that was said since MAIL. */
  said: string;
  /** What was said to the whole message, when it was said to its end. */
  answer?: string;
  /** More was said than asked: an answer may stand where it does not belong, and nobody could tell. */
  isTalkative: boolean;
  /** The go-ahead came with an answer in the same write, which is none. */
  isPrecocious: boolean;
  isChunked: boolean;
};

type Hostile = {
  port: number;
  fates: Map<number, Fate>;
  sessions: number;
  stop(): Promise<void>;
};

async function startHostile(seed: number, certificate: string): Promise<Hostile> {
  const sockets = new Set<Socket>();
  const secureContext = createSecureContext({ cert: certificate, key: certificate });
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    const number = hostile.sessions++;
    void converse(socket, seeded(seed * 1_000_003 + number), hostile, secureContext).catch(() =>
      socket.destroy(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", 2_000, resolve));
  const address = server.address();
  const hostile: Hostile = {
    port: typeof address === "object" && address !== null ? address.port : 0,
    fates: new Map(),
    sessions: 0,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return hostile;
}

/** Whether the first reply of a text is whole, of one code, and of this class: RFC 5321 §4.2 read in another way. */
function isReply(text: string, digit: number): boolean {
  const lines = text.split(/\r?\n/);
  if (lines.pop() !== "" && lines.length === 0) return false;
  while (lines[0] === "") lines.shift();
  const code = /^\d\d\d/.exec(lines[0] ?? "")?.[0];
  if (code === undefined || Number(code.charAt(0)) !== digit) return false;
  for (const line of lines) {
    if (line === code || line.startsWith(`${code} `)) return line.length <= 8_192;
    if (/^[2-5]\d\d(?:[ -]|$)/.test(line) && !line.startsWith(`${code}-`)) return false;
  }
  return false;
}

/** Floods are not remembered whole. */
const saidCharsMax = 4_096;

/** Stands for a message: thousands are remembered, some of them large. */
const digestOf = (text: string) => (text === "" ? "" : `${text.length} ${Bun.hash(text)}`);

class Gone extends Error {}

const tick = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Reads lines and counted bytes; throws Gone when the client is. */
function readerOf(socket: Socket) {
  let buffer: Buffer = Buffer.alloc(0);
  let isEnded = false;
  let wake = () => {};
  const onData = (bytes: Buffer) => {
    buffer = buffer.length === 0 ? bytes : Buffer.concat([buffer, bytes]);
    wake();
  };
  const onEnd = () => {
    isEnded = true;
    wake();
  };
  socket.on("data", onData).on("end", onEnd).on("close", onEnd).on("error", onEnd);
  socket.resume();
  async function upTo(lengthOf: () => number): Promise<string> {
    for (;;) {
      const length = lengthOf();
      if (length >= 0) {
        const text = buffer.toString("latin1", 0, length);
        buffer = buffer.subarray(length);
        return text;
      }
      if (isEnded) throw new Gone();
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }
  const find = (mark: string) => {
    const at = buffer.indexOf(mark);
    return at === -1 ? -1 : at + mark.length;
  };
  return {
    detach: () => socket.off("data", onData),
    line: () => upTo(() => find("\r\n")),
    message: () => upTo(() => (buffer.indexOf(".\r\n") === 0 ? 3 : find("\r\n.\r\n"))),
    bytes: (count: number) => upTo(() => (buffer.length >= count ? count : -1)),
  };
}

async function converse(
  plain: Socket,
  random: Random,
  { fates }: Hostile,
  secureContext: ReturnType<typeof createSecureContext>,
): Promise<void> {
  let socket = plain;
  /** Of the message under way. */
  let fate: Fate | undefined;
  let isTalkative = false;
  let read = readerOf(socket);
  let isSecure = false;
  /** How many of a hundred replies are not what they should be. */
  const malice = [0, 3, 10, 30][random(4)] ?? 0;
  const offers = ["PIPELINING", "CHUNKING", "8BITMIME", "SIZE 1000000", "DSN", "STARTTLS"].filter(
    (keyword) => (keyword === "STARTTLS" ? random(8) === 0 : random(2) === 0),
  );

  function talk() {
    isTalkative = true;
    if (fate !== undefined) fate.isTalkative = true;
  }
  /** In pieces, if the seed wants so. */
  async function write(text: string) {
    if (fate !== undefined && fate.said.length < saidCharsMax) fate.said += text.slice(0, saidCharsMax);
    if (random(5) > 0) return void socket.write(Buffer.from(text, "latin1"));
    for (let at = 0; at < text.length; ) {
      const size = 1 + random(random(2) === 0 ? 3 : 40);
      socket.write(Buffer.from(text.slice(at, at + size), "latin1"));
      at += size;
      if (random(3) === 0) await tick();
    }
  }
  const end = random(2) === 0 ? "\n" : "\r\n";
  function reply(code: number): string {
    const word = () =>
      ["ok", "2.0.0 fine", "", "\xff\xfe", "f\xc3\xbcr", "x".repeat(random(300)), "\0"][random(7)];
    const more = Array.from({ length: random(4) === 0 ? random(6) : 0 }, () => `${code}-${word()}${end}`);
    return `${more.join("")}${code} ${word()}${end}`;
  }
  const junk = () =>
    [
      () => "banana\r\n",
      () => reply(250).replace("250", "2500"),
      () => `250-a\r\n${550 - 100 * random(4)} b\r\n`,
      () => String.fromCharCode(...Array.from({ length: 1 + random(200) }, () => random(256))),
      () => `250 ${"x".repeat(20_000)}\r\n`,
      () => "250-flood\r\n".repeat(20_000),
      () => "250 flood\r\n".repeat(5_000),
      () => "\r\n".repeat(random(50)),
      () => `${random(10)}${random(10)}${random(10)} any\r\n`,
      () => "25",
    ][random(10)]?.() ?? "";

  /** Says what is due, or something else; what was said, when it was said to its end. */
  async function say(code: number): Promise<string> {
    const due = reply(code);
    if (random(100) >= malice) return tell(due);
    switch (random(9)) {
      case 0:
        return tell(reply([421, 450, 451, 452, 500, 503, 550, 552, 554][random(9)] ?? 550));
      case 1:
      case 2:
        talk();
        return tell(junk());
      case 3:
        talk();
        return tell(reply([250, 354, 220, 221, 250][random(5)] ?? 250));
      case 4: {
        // More than was asked for: in the same write, or later.
        talk();
        const extra = reply([250, 250, 354, 550, 421][random(5)] ?? 250);
        if (random(2) === 0) return tell(due + extra);
        await tell(due);
        await tick();
        await tell(extra);
        return due;
      }
      case 5:
        await tell(due.slice(0, random(due.length)));
        if (random(2) === 0) socket.end();
        else socket.resetAndDestroy();
        throw new Gone();
      case 6:
        socket.end();
        throw new Gone();
      case 7:
        socket.resetAndDestroy();
        throw new Gone();
      default:
        // Silence until the client gives up.
        for (;;) await read.line();
    }
  }
  async function tell(text: string): Promise<string> {
    await write(text);
    return text;
  }

  async function take(body: string, isDotted: boolean) {
    const about = fate;
    if (about === undefined) return void (await say(503));
    about.body = digestOf(isDotted ? body.slice(0, -3).replace(/(^|\n)\.\./g, "$1.") : body);
    about.answer = await say(250);
  }

  await say(220);
  for (;;) {
    const line = await read.line();
    const verb = line.slice(0, 4).toUpperCase();
    if (verb === "EHLO" || verb === "HELO") {
      const isUnderstood = verb === "EHLO" && random(100) >= malice;
      const shown = isSecure ? offers.filter((keyword) => keyword !== "STARTTLS") : offers;
      if (isUnderstood)
        await write(
          ["250-hostile.test", ...shown.map((keyword) => `250-${keyword}`), "250 HELP"].join(end) + end,
        );
      else await say(250);
    } else if (verb === "STAR") {
      if (random(4) === 0) {
        await say(454);
        continue;
      }
      // What is injected behind the reply must never be taken for an answer under TLS.
      await write(`220 go\r\n${random(3) === 0 ? "250 injected\r\n".repeat(1 + random(7)) : ""}`);
      if (random(4) === 0) {
        await write(junk());
        if (random(2) === 0) socket.end();
        throw new Gone();
      }
      read.detach();
      const secure = new TLSSocket(socket, { isServer: true, secureContext });
      secure.on("error", () => secure.destroy());
      socket = secure as unknown as Socket;
      read = readerOf(socket);
      isSecure = true;
    } else if (verb === "MAIL") {
      const id = Number(/<b-(\d+)@/.exec(line)?.[1]);
      fate = { said: "", isTalkative, isPrecocious: false, isChunked: offers.includes("CHUNKING") };
      fates.set(id, fate);
      await say(250);
    } else if (verb === "RCPT" || verb === "RSET") await say(250);
    else if (verb === "DATA") {
      if (fate !== undefined && random(100) < malice && random(4) === 0) {
        talk();
        fate.isPrecocious = true;
        socket.write(`354 go${end}250 accepted already${end}`);
        await read.message();
      } else if (isReply(await say(354), 3)) await take(await read.message(), true);
    } else if (verb === "BDAT") {
      const count = Number(/^BDAT (\d+) LAST\r\n$/.exec(line)?.[1] ?? 0);
      await take(await read.bytes(count), false);
    } else if (verb === "QUIT") {
      await say(221);
      socket.end();
      return;
    } else await say(500);
  }
}

const stepMs = 500;
const timeouts = {
  connectMs: 5_000,
  greetingMs: stepMs,
  commandMs: stepMs,
  blockMs: stepMs,
  finalMs: stepMs,
  messageMs: 5 * stepMs,
};
/** No session may take longer, whatever the server does; the machine may be busy. */
const sessionMsMax = 30_000;
const certificate = `${import.meta.dir}/../fixtures/tls/mx.test.pem`;

/**
 * Sends messages through sessions with a hostile server, and judges what the client believes by what the server knows:
 * `wrong` tells each session that believed what was not so, or that did not end.
 */
export async function fuzz({ seed, sessions, atOnce }: { seed: number; sessions: number; atOnce: number }) {
  const server = await startHostile(seed, await Bun.file(certificate).text());
  const random = seeded(seed);
  const wrong: string[] = [];
  const counts: Record<Sent["kind"], number> = {
    accepted: 0,
    refused: 0,
    unfit: 0,
    interrupted: 0,
    trouble: 0,
  };
  const judgements: (() => void)[] = [];
  let begun = 0;
  let messages = 0;

  async function one() {
    const session = await openSession(
      { name: "hostile.test", ip: "127.0.0.1", port: server.port },
      {
        egress: { id: "test", ehloName: "mail.tyto.example" },
        timeouts,
        tls: random(4) === 0 ? "none" : "modern",
      },
    );
    if ("kind" in session) return void counts.trouble++;
    for (let left = 1 + random(3); left > 0 && session.isOpen; left--) {
      const id = messages++;
      const { mail, text } = mailOf(id, random);
      const sent = await send(session, mail, random);
      counts[sent.kind]++;
      judgements.push(() => {
        const problem = judge(sent, server.fates.get(id), text);
        if (problem !== undefined)
          wrong.push(`seed ${seed}, message ${id}: ${problem} (${JSON.stringify(sent)})`);
      });
      if (sent.kind === "refused" && !(await session.reset())) break;
    }
    session.quit();
  }

  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (begun++ < sessions) {
        const limit = Promise.withResolvers<"late">();
        const timer = setTimeout(limit.resolve, sessionMsMax, "late");
        if ((await Promise.race([one(), limit.promise])) === "late")
          wrong.push(`seed ${seed}: a session did not end`);
        clearTimeout(timer);
      }
    }),
  );
  // What the client wrote last has to reach the server before it is asked.
  await server.stop();
  for (const judgement of judgements) judgement();
  return { wrong, counts };
}

function mailOf(id: number, random: Random): { mail: Mail; text: string } {
  const lines = Array.from(
    { length: random(20) === 0 ? random(6_000) : random(30) },
    () => ["Hello.", ".", "..", ".dot", "", "x".repeat(random(70)), "gr\u00fc\u00dfe"][random(7)],
  );
  const text = `Subject: ${id}\r\n\r\n${lines.map((line) => `${line}\r\n`).join("")}`;
  const bytes = Buffer.from(text);
  const cut = random(bytes.length);
  const mail = {
    envelopeId: `id${id}`,
    from: Address.parse(`b-${id}@bounces.example.com`),
    to: Address.parse("bob@example.org"),
    parts: [bytes.subarray(0, cut), bytes.subarray(cut)],
    has8Bit: true,
  };
  return { mail, text: digestOf(bytes.toString("latin1")) };
}

/** Sometimes the caller stops in the middle. */
async function send(session: Session, mail: Mail, random: Random): Promise<Sent> {
  if (random(20) > 0) return session.send(mail);
  const stopping = new AbortController();
  const sending = session.send(mail, stopping.signal);
  for (let turns = random(4); turns > 0; turns--) await tick();
  stopping.abort();
  return sending;
}

/** What is wrong with the client's belief, if anything. */
function judge(sent: Sent, fate: Fate | undefined, text: string): string | undefined {
  const isWhole = fate?.body === text;
  // Whoever wants a message for a recipient that it refused gets an empty one.
  const isEmpty = fate?.body === "" && sent.kind === "refused";
  if (fate?.body !== undefined && !isWhole && !isEmpty && !fate.isTalkative)
    return "another message arrived than was sent";
  switch (sent.kind) {
    case "accepted":
      if (fate === undefined) return "accepted, and the server has not heard of it";
      if (fate.isPrecocious) return "accepted before the message was sent";
      // Out of step by its own words: then a go-ahead and a yes behind it, wherever they were meant to stand, are an answer.
      if (fate.isTalkative && /(?:^|\n)3\d\d[\s\S]*\n2\d\d(?:[ \r\n-]|$)/.test(fate.said)) return undefined;
      // With chunks there is no go-ahead: three replies, to MAIL, RCPT and BDAT.
      if (
        fate.isTalkative &&
        fate.isChunked &&
        (fate.said.match(/(?:^|\n)2\d\d(?=[ \r\n]|$)/g)?.length ?? 0) >= 3
      )
        return undefined;
      if (!isWhole) return "accepted, and the server has not got it";
      return isReply(fate.answer ?? "", 2) ? undefined : "accepted, and the server has not said so";
    case "interrupted":
    case "unfit":
      return fate?.body === undefined ? undefined : "the server has got what was not sent";
    case "trouble":
      return isWhole && !sent.isInDoubt
        ? "the server has got it, and the client is sure that not"
        : undefined;
    case "refused":
      return fate?.isTalkative === true || /(?:^|\n)[45]\d\d/.test(fate?.said ?? "")
        ? undefined
        : "refused, and the server has not said so";
  }
}
