/**
 * The SMTP port under those who mean harm: a thousand connections that hold on to what they have, two hundred senders of
 * 25 MB at once, one of 2 GB; and beside them others who just send reports, whose waiting is measured.
 */
import { readFile } from "node:fs/promises";
import { deliveryId, newMessageId } from "@tyto/contracts";
import { encodeReturnPath } from "@tyto/mail";
import { until } from "@tyto/test/parts/until.ts";
import { benchmark } from "./benchmark.ts";
import { postfixReport } from "./dsn.ts";
import { percentile } from "./figures.ts";
import { type PortAlone, startPortAlone } from "./port-alone.ts";
import { openSession, type Session } from "./smtp-session.ts";

type Job = { idle: number; senders: number; megabytes: number; flood: number; hugeMegabytes: number };

const others = 10;
const othersEveryMs = 50;

/** The most that the process ever held, and what it holds now, in MB. */
async function residentMb(pid: number): Promise<{ peak: number; now: number }> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const of = (name: string) =>
    Math.round(Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0) / 1_024);
  return { peak: of("VmHWM"), now: of("VmRSS") };
}

/** Senders of reports, each at its pace, until stopped; every one is a new connection or a kept one in turn. */
function startOthers(port: PortAlone) {
  const takenMs: number[] = [];
  let isOver = false;
  let serial = 0;
  const sender = async () => {
    let session: Session | undefined;
    while (!isOver) {
      const returnPath = encodeReturnPath(deliveryId(newMessageId(), 0), port.host, port.verpKey);
      const report = postfixReport("ann@remote.test", returnPath, serial++);
      const startedAt = performance.now();
      session ??= await openSession(port.port);
      const reply = await session.deliver("", returnPath, report);
      if (!reply.startsWith("250")) throw new Error(`another sender was answered ${reply}`);
      takenMs.push(performance.now() - startedAt);
      if (serial % 5 === 0) {
        session.quit();
        session = undefined;
      }
      await Bun.sleep(othersEveryMs);
    }
    session?.quit();
  };
  const running = Array.from({ length: others }, sender);
  return {
    async stop() {
      isOver = true;
      await Promise.all(running);
      return {
        messages: takenMs.length,
        p50Ms: Math.round(percentile(takenMs, 0.5)),
        p99Ms: Math.round(percentile(takenMs, 0.99)),
      };
    },
  };
}

const line = `${"The quick brown fox jumps over the lazy dog. ".repeat(2).slice(0, 76)}\r\n`;
const block = Buffer.from(line.repeat(800));

/** Writes `bytes` as fast as they are taken; resolves with what the port said, which may come before the end. */
async function pump(session: Session, bytes: number): Promise<string> {
  await session.beginData("news@remote.test", "help@bench.test");
  const { socket } = session;
  socket.write("Subject: large\r\n\r\n");
  const closed = new Promise<void>((resolve) => socket.once("close", resolve));
  let isAnswered = false;
  const answer = session.reply().then((reply) => {
    isAnswered = true;
    return reply;
  });
  for (let sent = 0; sent < bytes && !isAnswered && !socket.destroyed; sent += block.length)
    if (!socket.write(block))
      await Promise.race([new Promise<void>((resolve) => socket.once("drain", resolve)), closed, answer]);
  if (!socket.destroyed && !isAnswered) socket.write(".\r\n");
  const reply = await answer;
  session.quit();
  return reply;
}

async function hold(port: PortAlone, count: number): Promise<Session[]> {
  const sessions: Session[] = [];
  for (let open = 0; open < count; open += 100)
    sessions.push(
      ...(await Promise.all(
        Array.from({ length: Math.min(100, count - open) }, () => openSession(port.port)),
      )),
    );
  return sessions;
}

const codes = (replies: readonly string[]) =>
  replies.reduce<Record<string, number>>((sum, reply) => {
    const code = reply.slice(0, 9) || "hung up";
    sum[code] = (sum[code] ?? 0) + 1;
    return sum;
  }, {});

/** A thousand idle connections and two hundred large messages at once. */
export async function many({ idle, senders, megabytes }: Pick<Job, "idle" | "senders" | "megabytes">) {
  const port = await startPortAlone();
  try {
    const restingMb = (await residentMb(port.pid)).now;
    const holders = await hold(port, idle);
    const idleMb = (await residentMb(port.pid)).now;
    const beside = startOthers(port);
    const startedAt = performance.now();
    const sessions = await hold(port, senders);
    const replies = await Promise.all(sessions.map((session) => pump(session, megabytes * 1_000_000)));
    const seconds = (performance.now() - startedAt) / 1_000;
    const waits = await beside.stop();
    const { peak } = await residentMb(port.pid);
    for (const holder of holders) holder.quit();
    await until("nothing stays on disk", async () => (await port.metric("tyto_bounce_spool_bytes")) === 0);
    return {
      replies: codes(replies),
      seconds: Math.round(seconds),
      restingMb,
      idleMb,
      peakMb: peak,
      others: waits,
    };
  } finally {
    await port.stop();
  }
}

/** A flood of connections that each do a little of everything, and one sender that never ends. */
async function flooded({ flood, hugeMegabytes }: Job) {
  const port = await startPortAlone();
  try {
    const beside = startOthers(port);
    const startedAt = performance.now();
    const huge = openSession(port.port).then((session) => pump(session, hugeMegabytes * 1_000_000));
    const rude = await hold(port, flood);
    const talk = async (session: Session, index: number) => {
      if (index % 4 === 0) return void (await session.beginData("eve@x.test", "help@bench.test"));
      for (let times = 0; times < 30; times++)
        if ((await session.say(index % 4 === 1 ? "RCPT TO:<guess@bench.test>" : "NOOP")) === "") return;
    };
    const drips = rude.filter((_, index) => index % 4 === 0);
    await Promise.all(rude.map((session, index) => talk(session, index).catch(() => {})));
    for (let times = 0; times < 50; times++) {
      for (const { socket } of drips) if (!socket.destroyed) socket.write("x");
      await Bun.sleep(100);
    }
    const reply = await huge;
    const waits = await beside.stop();
    const seconds = (performance.now() - startedAt) / 1_000;
    const { peak } = await residentMb(port.pid);
    for (const session of rude) session.socket.destroy();
    return { hugeReply: reply.trim(), seconds: Math.round(seconds), peakMb: peak, others: waits };
  } finally {
    await port.stop();
  }
}

export const flood = benchmark({
  name: "flood",
  about: "memory of the SMTP port and the waiting of others under idle, large and hostile senders",
  options: {
    idle: { usual: 1_000, about: "connections that hold on to what they have" },
    senders: { usual: 200, about: "of large mail at once" },
    megabytes: { usual: 25, about: "of each of them" },
    flood: { usual: 1_000, about: "hostile connections" },
    hugeMegabytes: { usual: 2_000, about: "of one sender" },
  },
  async run(job) {
    return { ...job, flooded: await flooded(job), many: await many(job) };
  },
});
