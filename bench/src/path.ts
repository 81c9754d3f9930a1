/**
 * The whole path: HTTP accept → NATS → scanner when needed → mta → SMTP → smtp-sink, with every event in Convex at the
 * end; and the same number of messages of the same size through a Postfix relay to the same sink, in the same run.
 */
import { type Installation, startInstallation } from "@tyto/test/parts/installation.ts";
import { until } from "@tyto/test/parts/until.ts";
import { sendByApi, textOf } from "./api-load.ts";
import { benchmark } from "./benchmark.ts";
import { percentile, round } from "./figures.ts";
import { startPostfixRelay } from "./postfix-relay.ts";
import { cpuByName, cpuSeconds, watchMemory } from "./processes.ts";
import { isRecorded } from "./recorded.ts";
import { startSink } from "./sink.ts";
import { sendBySmtp } from "./smtp-load.ts";

type Job = { messages: number; bytes: number; sessions: number; batch: number };

const benched = ["gateway", "mta", "recorder", "nats-server", "convex-local"] as const;

async function throughTyto(job: Job) {
  const sink = await startSink();
  const tyto: Installation = await startInstallation({
    routes: { "*": sink.address },
    env: { RATE_LIMIT_PER_S: "1000000", MTA_SITE_CONNECTIONS: "50" },
  });
  await tyto.addDomain("bench.test");
  const roots = tyto.processes().map(({ pid }) => pid);
  const memory = watchMemory(roots);
  const text = textOf(job.bytes);

  const named = benched.flatMap((name) => {
    const process = tyto.process(name);
    return process === undefined ? [] : [{ name, pid: process.pid }];
  });
  const byNameBefore = await cpuByName(named);
  const cpuBefore = await cpuSeconds(roots);
  const startedAt = performance.now();
  const { seconds: acceptedS, acceptMs } = await sendByApi(tyto, {
    ...job,
    mailOf: (index) => ({
      from: "a@bench.test",
      to: `u${index}@dst.test`,
      subject: `Bench ${index}`,
      text,
    }),
  });
  console.error(`tyto: ${job.messages} accepted in ${acceptedS.toFixed(1)} s`);
  await until("all messages arrive", () => sink.received() >= job.messages, {
    withinMs: 600_000,
    everyMs: 20,
  });
  const deliveredS = (performance.now() - startedAt) / 1_000;
  console.error(`tyto: delivered after ${deliveredS.toFixed(1)} s`);
  await until("Convex knows every delivery", () => isRecorded(tyto, "delivered", job.messages), {
    withinMs: 600_000,
    everyMs: 250,
  });
  const recordedS = (performance.now() - startedAt) / 1_000;
  const cpuS = (await cpuSeconds(roots)) - cpuBefore;
  const byName = await cpuByName(named);
  const peakMb = memory.peakMb();
  memory.stop();
  const received = sink.received();
  await tyto.stop();
  await sink.stop();
  return {
    perS: round(job.messages / deliveredS, 0),
    acceptPerS: round(job.messages / acceptedS, 0),
    recordedPerS: round(job.messages / recordedS, 0),
    cpuSPer1000: round((cpuS / job.messages) * 1_000),
    cpuSPer1000ByProcess: Object.fromEntries(
      named.map(({ name }) => [
        name,
        round((((byName[name] ?? 0) - (byNameBefore[name] ?? 0)) / job.messages) * 1_000),
      ]),
    ),
    peakMb,
    acceptP50Ms: round(percentile(acceptMs, 0.5), 1),
    acceptP99Ms: round(percentile(acceptMs, 0.99), 1),
    duplicates: received - job.messages,
  };
}

async function throughPostfix(job: Job) {
  const sink = await startSink();
  const relay = await startPostfixRelay(sink.address);
  const memory = watchMemory([relay.pid]);
  const cpuBefore = await cpuSeconds([relay.pid]);
  const startedAt = performance.now();
  await sendBySmtp(relay.address, job);
  await until("all messages arrive", () => sink.received() >= job.messages, {
    withinMs: 600_000,
    everyMs: 20,
  });
  const deliveredS = (performance.now() - startedAt) / 1_000;
  console.error(`postfix: ${job.messages} delivered after ${deliveredS.toFixed(1)} s`);
  const cpuS = (await cpuSeconds([relay.pid])) - cpuBefore;
  const peakMb = memory.peakMb();
  memory.stop();
  await relay.stop();
  await sink.stop();
  return {
    version: relay.version,
    perS: round(job.messages / deliveredS, 0),
    cpuSPer1000: round((cpuS / job.messages) * 1_000),
    peakMb,
  };
}

export const path = benchmark({
  name: "path",
  about: "messages per second through the whole path to smtp-sink, beside Postfix",
  options: {
    messages: { usual: 5_000, about: "through each" },
    bytes: { usual: 2_048, about: "of each body" },
    sessions: { usual: 50, about: "into each" },
    batch: { usual: 1, about: "messages of each request of the API" },
  },
  async run(job) {
    const postfix = await throughPostfix(job);
    const tyto = await throughTyto(job);
    return {
      ...job,
      note: "Tyto signs each message with RSA-2048 and Ed25519 and fsyncs; the Postfix relay does not sign",
      tyto,
      postfix,
      ratio: round(tyto.perS / postfix.perS),
      cpuRatio: round(tyto.cpuSPer1000 / postfix.cpuSPer1000),
    };
  },
});
