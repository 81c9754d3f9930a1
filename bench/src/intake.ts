/**
 * Delivery reports through the SMTP port to the event in Convex, with everything else of an installation running beside
 * it: `tyto up` itself, every message known before its report comes.
 */
import { connectBus } from "@tyto/bus";
import {
  Address,
  type DeliveryId,
  Domain,
  defaultOrganization,
  deliveryId,
  newMessageId,
} from "@tyto/contracts";
import { startDns } from "@tyto/dns/testing";
import { encodeReturnPath } from "@tyto/mail";
import { type Installation, startInstallation } from "@tyto/test/parts/installation.ts";
import { until } from "@tyto/test/parts/until.ts";
import { benchmark } from "./benchmark.ts";
import { postfixReport } from "./dsn.ts";
import { percentile, round } from "./figures.ts";
import { cpuByName, cpuSeconds, memoryMb, watchMemory } from "./processes.ts";
import { isRecorded } from "./recorded.ts";
import { openSession } from "./smtp-session.ts";

type Job = { messages: number; sessions: number; perS: number };

const benched = ["bounce", "recorder", "nats-server", "convex-local"] as const;
const host = "bounces.bench.test";
const sampleEvery = 50;
const patienceMs = 300_000;
const dayMs = 86_400_000;

/** Messages that Convex knows, as the gateway announces them; one recipient each. */
async function accept(tyto: Installation, count: number): Promise<DeliveryId[]> {
  const gateway = await connectBus({
    url: tyto.natsUrl,
    user: "gateway",
    password: tyto.secret("NATS_GATEWAY_PASSWORD"),
    name: "bench",
    log: { info() {}, warn() {}, error() {} },
  });
  const ids = Array.from({ length: count }, () => newMessageId());
  for (let from = 0; from < count; from += 500)
    await Promise.all(
      ids.slice(from, from + 500).map((messageId, index) =>
        gateway.publish("mail.accepted", {
          id: `${messageId}.accepted`,
          at: Date.now(),
          organizationId: defaultOrganization,
          messageId,
          domain: Domain.parse("bench.test"),
          from: Address.parse("news@bench.test"),
          recipients: [{ address: Address.parse(`u${from + index}@remote.test`), role: "to" }],
          subject: "Our news",
          messageIdHeader: `${messageId}@bench.test`,
          bodyBytes: 2_000,
          bodyChunks: 1,
          attachments: 0,
          tags: [],
          metadata: {},
          // Nothing is to leave: only its report comes.
          scheduledAt: Date.now() + dayMs,
          expiresAt: Date.now() + 5 * dayMs,
        }),
      ),
    );
  await gateway.drain();
  await until("Convex knows every message", async () => (await tyto.countMessages("scheduled")) >= count, {
    withinMs: patienceMs,
    everyMs: 500,
  });
  return ids.map((messageId) => deliveryId(messageId, 0));
}

async function measure(job: Job) {
  const dns = await startDns();
  const dnsServers = dns.servers.map((server) => `${server.host}:${server.port}`).join(",");
  const tyto = await startInstallation({ dnsServers });
  try {
    return await measureAt(tyto, job);
  } finally {
    await tyto.stop();
    await dns.stop();
  }
}

async function measureAt(tyto: Installation, job: Job) {
  await tyto.addDomain("bench.test");
  const deliveries = await accept(tyto, job.messages);
  const verpKey = tyto.secret("BOUNCE_VERP_KEY");
  const reports = deliveries.map((id, index) => {
    const returnPath = encodeReturnPath(id, host, verpKey);
    return { id, returnPath, bytes: postfixReport(`u${index}@remote.test`, returnPath, index) };
  });
  console.error(`${job.messages} messages are known; sending their reports over ${job.sessions} sessions`);

  const roots = tyto.processes().map(({ pid }) => pid);
  const memory = watchMemory(roots);
  const named = benched.flatMap((name) => {
    const process = tyto.process(name);
    return process === undefined ? [] : [{ name, pid: process.pid }];
  });
  const byNameBefore = await cpuByName(named);
  const cpuBefore = await cpuSeconds(roots);

  const sessions = await Promise.all(
    Array.from({ length: job.sessions }, () => openSession(tyto.bouncePort)),
  );
  const takenMs: number[] = [];
  const watches: Promise<number>[] = [];
  const startedAt = performance.now();
  let next = 0;
  const send = async (session: (typeof sessions)[number]) => {
    for (let index = next++; index < reports.length; index = next++) {
      const report = reports[index];
      if (report === undefined) break;
      // A pace keeps the queue short, so that what is measured is the way and not the wait.
      const dueMs = job.perS > 0 ? startedAt + (index / job.perS) * 1_000 : 0;
      if (performance.now() < dueMs) await Bun.sleep(dueMs - performance.now());
      const sentAt = performance.now();
      const reply = await session.deliver("", report.returnPath, report.bytes);
      if (!reply.startsWith("250")) throw new Error(`the port answered ${reply}`);
      takenMs.push(performance.now() - sentAt);
      if (index % sampleEvery === 0) watches.push(known(tyto, report.id, sentAt));
    }
    session.quit();
  };
  await Promise.all(sessions.map(send));
  const takenS = (performance.now() - startedAt) / 1_000;
  console.error(`taken after ${takenS.toFixed(1)} s`);
  await until("Convex knows every bounce", () => isRecorded(tyto, "bounced", job.messages), {
    withinMs: patienceMs,
    everyMs: 100,
  });
  const knownS = (performance.now() - startedAt) / 1_000;
  const knownMs = await Promise.all(watches);
  const recorder = `http://127.0.0.1:${tyto.port("RECORDER_HEALTH_PORT")}/metrics`;
  await until(
    "every raw message is a file",
    async () => {
      const text = await (await fetch(recorder)).text();
      return Number(/^tyto_recorder_raw_total\S* (\d+)/m.exec(text)?.[1] ?? 0) >= job.messages;
    },
    { withinMs: patienceMs, everyMs: 100 },
  );
  const filedS = (performance.now() - startedAt) / 1_000;
  const cpuS = (await cpuSeconds(roots)) - cpuBefore;
  const byName = await cpuByName(named);
  const bounce = tyto.process("bounce");
  const bounceMb = bounce === undefined ? 0 : await memoryMb([bounce.pid]);
  const peakMb = memory.peakMb();
  memory.stop();
  const bounced = await tyto.countMessages("bounced");
  if (bounced !== job.messages) throw new Error(`Convex holds ${bounced} of ${job.messages} as bounced`);
  return {
    takenPerS: round(job.messages / takenS, 0),
    perS: round(job.messages / knownS, 0),
    filedPerS: round(job.messages / filedS, 0),
    takenP50Ms: Math.round(percentile(takenMs, 0.5)),
    takenP99Ms: Math.round(percentile(takenMs, 0.99)),
    knownP50Ms: Math.round(percentile(knownMs, 0.5)),
    knownP99Ms: Math.round(percentile(knownMs, 0.99)),
    cpuSPer1000: round((cpuS / job.messages) * 1_000),
    cpuSPer1000ByProcess: Object.fromEntries(
      named.map(({ name }) => [
        name,
        round((((byName[name] ?? 0) - (byNameBefore[name] ?? 0)) / job.messages) * 1_000),
      ]),
    ),
    bounceMb,
    peakMb,
  };
}

/** Milliseconds from `sentAt` until the bounce stands in Convex. */
async function known(tyto: Installation, id: DeliveryId, sentAt: number): Promise<number> {
  await until(
    `the bounce of ${id} is known`,
    async () => (await tyto.stateOf(id.slice(0, 26))) === "bounced",
    { withinMs: patienceMs, everyMs: 50 },
  );
  return performance.now() - sentAt;
}

export const intake = benchmark({
  name: "intake",
  about: "delivery reports per second through the SMTP port to the event in Convex",
  options: {
    messages: { usual: 3_000, about: "reports" },
    sessions: { usual: 40, about: "of SMTP" },
    perS: { usual: 0, least: 0, about: "reports a second; 0: as fast as it goes" },
  },
  async run(job) {
    return { ...job, ...(await measure(job)) };
  },
});
