import { Address } from "@tyto/contracts";
import { type Mail, openSession, type Session } from "../smtp.ts";
import type { Sent } from "../trouble.ts";
import { tick } from "./conversation.testing.ts";
import { type Random, seeded } from "./draws.testing.ts";
import { type Belief, digestOf } from "./fate.testing.ts";
import type { FromServer, ToServer } from "./server.testing.ts";

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

export type Counts = Record<Sent["kind"], number>;
export type FuzzOptions = { seed: number; sessions: number; atOnce: number };

/**
 * Sends messages through sessions with a hostile server, and has what the client believes judged by what the server
 * knows: `wrong` tells each session that believed what was not so, or that did not end.
 */
export async function fuzz({ seed, sessions, atOnce }: FuzzOptions) {
  const server = await startServer(seed);
  const random = seeded(seed);
  const counts: Counts = { accepted: 0, refused: 0, unfit: 0, interrupted: 0, trouble: 0 };
  let messages = 0;
  const believe = (belief: Belief) => {
    counts[belief.sent.kind]++;
    server.believe(belief);
  };
  const one = async () => {
    const session = await open(server.port, random);
    if ("kind" in session) counts.trouble++;
    else await use(session, random, () => messages++, believe);
  };

  let begun = 0;
  let endless = 0;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (begun++ < sessions) if (!(await endsInTime(one()))) endless++;
    }),
  );
  const wrong = await server.judge();
  for (; endless > 0; endless--) wrong.push(`seed ${seed}: a session did not end`);
  return { wrong, counts };
}

async function startServer(seed: number) {
  const listening = Promise.withResolvers<number>();
  const judged = Promise.withResolvers<string[]>();
  const server = Bun.spawn([process.execPath, `${import.meta.dir}/server.testing.ts`, `${seed}`], {
    stdio: ["ignore", "ignore", "inherit"],
    ipc(message: FromServer) {
      if (message.kind === "listening") listening.resolve(message.port);
      else judged.resolve(message.wrong);
    },
    onExit(_process, code) {
      const error = new Error(`the hostile server ended by itself with code ${code}`);
      listening.reject(error);
      judged.reject(error);
    },
  });
  judged.promise.catch(() => {});
  const send = (message: ToServer) => server.send(message);
  return {
    port: await listening.promise,
    believe: (belief: Belief) => send({ kind: "belief", belief }),
    async judge(): Promise<string[]> {
      send({ kind: "judge" });
      const wrong = await judged.promise;
      server.kill();
      await server.exited;
      return wrong;
    },
  };
}

const open = (port: number, random: Random) =>
  openSession(
    { name: "hostile.test", ip: "127.0.0.1", port },
    {
      egress: { id: "test", ehloName: "mail.tyto.example" },
      timeouts,
      tls: random(4) === 0 ? "none" : "modern",
    },
  );

/** Sends up to three messages, and resolves when the session has ended. */
async function use(
  session: Session,
  random: Random,
  nextId: () => number,
  believe: (belief: Belief) => void,
): Promise<void> {
  for (let left = 1 + random(3); left > 0 && session.isOpen; left--) {
    const id = nextId();
    const { mail, text } = mailOf(id, random);
    const sent = await send(session, mail, random);
    believe({ id, text, sent });
    if (sent.kind === "refused" && !(await session.reset())) break;
  }
  session.quit();
  await new Promise<void>((resolve) => session.onEnd(resolve));
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

async function endsInTime(work: Promise<void>): Promise<boolean> {
  const limit = Promise.withResolvers<false>();
  const timer = setTimeout(limit.resolve, sessionMsMax, false);
  const isOver = await Promise.race([work.then(() => true), limit.promise]);
  clearTimeout(timer);
  return isOver;
}
