/**
 * Healthy mail beside sick: half of the messages for sites that are dead (a third each: connections refused, SYNs unanswered, never
 * a greeting), a tenth for a tarpit, the rest for healthy servers; and the same healthy messages alone. Healthy mail comes at
 * the same pace both times, so what differs is what the sick sites do to it.
 */
import { loadavg } from "node:os";
import { startInstallation } from "@tyto/test/parts/installation.ts";
import { sendByApi, textOf } from "./api-load.ts";
import { benchmark } from "./benchmark.ts";
import { round } from "./figures.ts";
import { startMute, startRefusing, startSilent, startTarpit } from "./isolation-servers.ts";
import { queueOf } from "./mta-queue.ts";
import { watchMemoryByName } from "./processes.ts";
import { startSink } from "./sink.ts";

type Job = {
  messages: number;
  healthyPerS: number;
  tarpitMs: number;
  sessions: number;
  batch: number;
  bytes: number;
};
type Kind = "dead" | "tarpit" | "healthy";

const benched = ["gateway", "mta", "recorder", "nats-server", "convex-local"] as const;
/** Ten messages in a row. */
const mix: readonly Kind[] = [
  ...(["dead", "healthy", "dead", "healthy", "tarpit"] as const),
  ...(["dead", "healthy", "dead", "healthy", "dead"] as const),
];
const healthyShare = mix.filter((kind) => kind === "healthy").length / mix.length;
const deadDomains = ["refused.test", "silent.test", "mute.test"] as const;
const healthyDomains = ["ok1.test", "ok2.test", "ok3.test", "ok4.test"] as const;
/** Without one more healthy message in this time, the rest is stuck. */
const stuckMs = 120_000;

async function run(job: Job, kinds: readonly Kind[]) {
  const sinks = await Promise.all(healthyDomains.map(() => startSink()));
  const tarpit = await startTarpit(job.tarpitMs);
  const dead = await Promise.all([startRefusing(), startSilent(), startMute()]);
  const addressOf = (servers: readonly { address: string }[], index: number) => servers[index]?.address ?? "";
  const tyto = await startInstallation({
    routes: {
      ...Object.fromEntries(healthyDomains.map((domain, index) => [domain, addressOf(sinks, index)])),
      ...Object.fromEntries(deadDomains.map((domain, index) => [domain, addressOf(dead, index)])),
      "tar.test": tarpit.address,
    },
    env: { RATE_LIMIT_PER_S: "1000000" },
  });
  try {
    await tyto.addDomain("bench.test");
    const named = benched.flatMap((name) => {
      const found = tyto.process(name);
      return found === undefined ? [] : [{ name, pid: found.pid }];
    });
    const memory = watchMemoryByName(() => named);
    const share = kinds.filter((kind) => kind === "healthy").length / kinds.length;
    const healthy = Math.round(job.messages * healthyShare);
    const offered = Math.round(healthy / share);
    const text = textOf(job.bytes);
    const domainOf = (index: number) => {
      const kind = kinds[index % kinds.length];
      if (kind === "tarpit") return "tar.test";
      return kind === "dead"
        ? deadDomains[index % deadDomains.length]
        : healthyDomains[index % healthyDomains.length];
    };
    const received = () => sinks.reduce((sum, sink) => sum + sink.received(), 0);

    const startedAt = performance.now();
    let accepted = 0;
    let behindMax = 0;
    let last = { received: 0, atMs: startedAt };
    const sending = sendByApi(tyto, {
      ...job,
      messages: offered,
      mailOf: (index) => ({
        from: "a@bench.test",
        to: `u${index}@${domainOf(index)}`,
        subject: `Bench ${index}`,
        text,
      }),
      ...(job.healthyPerS > 0 ? { perS: job.healthyPerS / share } : {}),
      onAccepted: (count) => {
        accepted += count;
      },
    });
    let isAccepted = false;
    const accepting = sending.then((taken) => {
      isAccepted = true;
      return taken;
    });
    // A request that fails ends the loop below, not the process.
    accepting.catch(() => {
      isAccepted = true;
    });
    while (received() < healthy && (!isAccepted || performance.now() - last.atMs < stuckMs)) {
      await Bun.sleep(50);
      if (received() > last.received) last = { received: received(), atMs: performance.now() };
      behindMax = Math.max(behindMax, Math.round(accepted * share) - received());
    }
    const { seconds: acceptedS } = await accepting;
    const seconds = (last.atMs - startedAt) / 1_000;
    memory.stop();
    const figures = {
      healthy,
      healthyPerS: round(last.received / seconds, 1),
      seconds: round(seconds, 1),
      acceptedS: round(acceptedS, 1),
      healthyMissing: Math.max(0, healthy - received()),
      healthyBehindMax: behindMax,
      tarpitTaken: tarpit.taken(),
      queue: await queueOf(tyto),
      peakMb: memory.peaksMb(),
    };
    console.error(JSON.stringify(figures));
    return figures;
  } finally {
    await tyto.stop();
    await Promise.all([...sinks, ...dead, tarpit].map((server) => server.stop()));
  }
}

export const isolation = benchmark({
  name: "isolation",
  about: "healthy messages per second beside dead and slow sites, over the same alone",
  options: {
    messages: { usual: 100_000, about: "of all kinds" },
    healthyPerS: { usual: 100, least: 0, about: "healthy messages a second; 0: as fast as they are taken" },
    tarpitMs: { usual: 5_000, about: "to each answer of the slow site" },
    sessions: { usual: 8, about: "of the API's client" },
    batch: { usual: 10, about: "messages of each request" },
    bytes: { usual: 2_048, about: "of each body" },
  },
  async run(job) {
    const [before] = loadavg();
    const alone = await run(job, ["healthy"]);
    const beside = await run(job, mix);
    return {
      ...job,
      ratio: round(beside.healthyPerS / alone.healthyPerS, 3),
      mtaPeakMb: beside.peakMb.mta,
      alone,
      beside,
      load: { before, after: loadavg()[0] },
      notes: [
        "ratio: healthy messages per second beside the sick sites over the same messages alone, from the first one offered to the last one delivered",
        job.healthyPerS > 0
          ? "healthy messages are offered at the same pace both times; healthyBehindMax is the most that were accepted and not delivered"
          : "all messages are offered as fast as they are taken: accepting the sick ones takes its part of the same cores",
      ],
    };
  },
});
