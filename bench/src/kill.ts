/**
 * `bun run bench kill`: kill -9 of the mta, then of nats-server, at random in the middle of sending; how many messages were
 * lost and how many came twice. A message may come twice when its process died between the remote server's 250 and the
 * stored outcome: at most one for each open connection.
 */
import { loadavg } from "node:os";
import { startNats } from "@tyto/bus/testing";
import { type Sending, startSending } from "@tyto/test/parts/sending.ts";
import { until } from "@tyto/test/parts/until.ts";
import { benchmark } from "./benchmark.ts";

const minuteMs = 60_000;

export const kill = benchmark({
  name: "kill",
  about: "kill -9 at random while sending: what is lost, and what comes twice",
  options: {
    messages: { usual: 20_000, about: "for each of the two" },
    kills: { usual: 100, about: "of the mta" },
    natsKills: { usual: 10, about: "of nats-server" },
    connections: { usual: 50, about: "open at most" },
  },
  async run({ messages, kills, natsKills, ...job }) {
    const connections = `${job.connections}`;
    const env = { MTA_CONCURRENCY: connections, MTA_SITE_CONNECTIONS: connections, LOG_LEVEL: "info" };
    const [before] = loadavg();
    return {
      messages,
      mta: await killMta(messages, kills, env),
      nats: await killNats(messages, natsKills, env),
      load: { before, after: loadavg()[0] },
    };
  },
});

type Env = Readonly<Record<string, string>>;

/** Every life of the mta gets its part of the messages, besides what comes back from those before; its end comes anywhere in it. */
async function killMta(messages: number, kills: number, env: Env) {
  const nats = await startNats({ users: true, syncAlways: true });
  // One byte takes a while: else few messages are in flight.
  const sending = await startSending(nats, { env, answerMs: 5 });
  const perLife = Math.floor(messages / (kills + 1));
  const startedMs = performance.now();
  try {
    for (let life = 0; life < kills; life++) {
      const mta = await sending.startMta("mta");
      const accepting = sending.accept(perLife);
      const from = sending.remote.received();
      const at = from + 1 + Math.floor(Math.random() * perLife * 0.9);
      await until(`life ${life} has sent enough`, () => sending.remote.received() >= at, {
        withinMs: minuteMs,
        everyMs: 1,
      });
      await sending.duringKill("mta", () => {
        mta.process.kill("SIGKILL");
        return mta.process.exited;
      });
      await accepting;
      if (life % 10 === 9) progress(sending, `${life + 1} kills of the mta`);
    }
    await sending.startMta("mta");
    await sending.accept(messages - sending.accepted());
    return await finish(sending, startedMs);
  } finally {
    await sending.stop();
    await nats.stop();
  }
}

async function killNats(messages: number, kills: number, env: Env) {
  const nats = await startNats({ users: true, syncAlways: true });
  const sending = await startSending(nats, { env, answerMs: 5 });
  const startedMs = performance.now();
  try {
    await sending.startMta("mta");
    const accepting = sending.accept(messages);
    for (let count = 0; count < kills; count++) {
      const at = Math.floor((messages * (count + Math.random())) / kills);
      await until(`${at} are delivered`, () => sending.received() >= at, {
        withinMs: 3 * minuteMs,
        everyMs: 1,
      });
      await sending.duringKill("nats-server", async () => {
        await nats.kill();
        await nats.restart();
      });
      progress(sending, `${count + 1} kills of nats-server`);
    }
    await accepting;
    return await finish(sending, startedMs);
  } finally {
    await sending.stop();
    await nats.stop();
  }
}

async function finish(sending: Sending, startedMs: number) {
  const accepted = sending.accepted();
  await until("every recipient has its mail", () => sending.received() >= accepted, {
    withinMs: 3 * minuteMs,
  });
  await until("every delivery is told", () => sending.told() >= accepted, { withinMs: 3 * minuteMs }).catch(
    (error: unknown) => progress(sending, String(error)),
  );
  const counted = sending.tally();
  progress(sending, "done");
  return {
    kills: sending.kills.length,
    ...counted,
    untold: accepted - sending.told(),
    duplicatesMaxAtOneKill: Math.max(0, ...sending.kills.map(({ duplicates }) => duplicates)),
    seconds: Math.round((performance.now() - startedMs) / 1_000),
  };
}

function progress(sending: Sending, what: string): void {
  const { duplicates, connectionsAtKills, excessive } = sending.tally();
  console.error(
    `${what}: ${sending.accepted()} accepted, ${sending.received()} delivered, ${sending.told()} told, ${duplicates} twice (${connectionsAtKills} connections at kills, ${excessive} kills with more)`,
  );
}
