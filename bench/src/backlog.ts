/**
 * A long queue: mail for a site that takes a few messages a second piles up. How much memory each process needs while it does
 * and while it is sent at last; how fast other mail goes beside it; how soon mail flows again after the mta, or all of Tyto,
 * is started anew with the queue there.
 */
import { loadavg } from "node:os";
import { type Installation, startInstallation } from "@tyto/test/parts/installation.ts";
import { until } from "@tyto/test/parts/until.ts";
import { sendByApi, textOf } from "./api-load.ts";
import { benchmark } from "./benchmark.ts";
import { round } from "./figures.ts";
import { startTarpit } from "./isolation-servers.ts";
import { queueOf } from "./mta-queue.ts";
import { cpuByName, watchMemoryByName } from "./processes.ts";
import { type Sink, startSink } from "./sink.ts";

type Job = {
  messages: number;
  recipients: number;
  fresh: number;
  drain: number;
  bytes: number;
  sessions: number;
};

type Counting = Pick<Sink, "received">;

const benched = ["gateway", "mta", "recorder", "nats-server", "convex-local"] as const;
/** The site that the queue is for answers each command after this time. */
const slowMs = 1_000;
const freshBatch = 100;
/** Recipients in one request, about. */
const requestRecipients = 1_000;
/** Of what `tyto up` said, when a run fails. */
const outputCharsShown = 6_000;
/** Counting a million entries takes the mta five seconds. */
const countEveryMs = 30_000;
const withinMs = 3 * 3_600_000;
/** So long without a delivery, and the rest is stuck. */
const stuckMs = 1_200_000;
const secondsSince = (atMs: number) => (performance.now() - atMs) / 1_000;

const processesOf = (tyto: Installation) =>
  benched.flatMap((name) => {
    const found = tyto.process(name);
    return found === undefined ? [] : [{ name, pid: found.pid }];
  });

/** Memory by process, through restarts. */
function watch(tyto: Installation) {
  let named = processesOf(tyto);
  return {
    ...watchMemoryByName(() => named),
    refresh() {
      named = processesOf(tyto);
    },
  };
}

/** Mail for a quick site, as fast as it is taken: messages per second until the last is delivered, and what they cost. */
async function sendFresh(tyto: Installation, sink: Sink, job: Job) {
  const before = sink.received();
  const named = processesOf(tyto);
  const cpuBefore = await cpuByName(named);
  const text = textOf(job.bytes);
  const startedAt = performance.now();
  await sendByApi(tyto, {
    messages: job.fresh,
    sessions: job.sessions,
    batch: freshBatch,
    mailOf: (index) => ({
      from: "a@bench.test",
      to: `f${index}@fresh.test`,
      subject: `Fresh ${index}`,
      text,
    }),
  });
  await until("fresh mail arrives", () => sink.received() >= before + job.fresh, { withinMs, everyMs: 10 });
  const perS = round(job.fresh / secondsSince(startedAt), 0);
  const cpu = await cpuByName(named);
  const cpuOf = (name: string) => (cpu[name] ?? 0) - (cpuBefore[name] ?? 0);
  return {
    perS,
    cpuSPer1000: Object.fromEntries(
      named.map(({ name }) => [name, round((cpuOf(name) / job.fresh) * 1_000)]),
    ),
  };
}

async function fill(tyto: Installation, job: Job) {
  const text = textOf(job.bytes);
  const messages = Math.ceil(job.messages / job.recipients);
  const { seconds } = await sendByApi(tyto, {
    messages,
    sessions: job.sessions,
    batch: Math.max(1, Math.floor(requestRecipients / job.recipients)),
    mailOf: (index) => ({
      from: "a@bench.test",
      to: Array.from({ length: job.recipients }, (_, at) => `q${index * job.recipients + at}@slow.test`),
      subject: `Queued ${index}`,
      text,
    }),
  });
  return { messages, entries: messages * job.recipients, seconds };
}

/** Convex knows of everything so far: events are recorded in their order. */
async function recorded(tyto: Installation, sink: Sink, job: Job): Promise<void> {
  const before = await tyto.countMessages("delivered");
  await sendFresh(tyto, sink, { ...job, fresh: 1 });
  // On a busy machine Convex may be too late with an answer.
  const isKnown = () =>
    tyto.countMessages("delivered").then(
      (count) => count > before,
      () => false,
    );
  await until("everything is recorded", isKnown, { withinMs, everyMs: 1_000 });
}

/** Until the sink has `count` more; tells how many it got when nothing comes any more. */
async function receive(sink: Counting, count: number) {
  const before = sink.received();
  const startedAt = performance.now();
  let last = { received: before, atMs: startedAt };
  while (last.received < before + count && performance.now() - last.atMs < stuckMs) {
    await Bun.sleep(20);
    const received = sink.received();
    if (received > last.received) last = { received, atMs: performance.now() };
  }
  return { received: last.received - before, seconds: (last.atMs - startedAt) / 1_000 };
}

/** The mta is killed; how long until its successor runs, and until it has delivered something. */
async function killMta(tyto: Installation, sink: Counting) {
  const old = tyto.process("mta");
  if (old === undefined) throw new Error("there is no mta");
  process.kill(old.pid, "SIGKILL");
  const killedAt = performance.now();
  const successor = await until("the mta is started again", () => {
    const found = tyto.process("mta");
    return found !== undefined && found.pid !== old.pid ? found : undefined;
  });
  // What the killed one had sent is counted by now.
  const before = sink.received();
  const startedS = secondsSince(killedAt);
  await until("the first delivery", () => sink.received() > before, { withinMs: stuckMs, everyMs: 5 });
  const firstS = secondsSince(killedAt);
  return { pid: successor.pid, startedS: round(startedS), firstDeliveryS: round(firstS) };
}

/** All of it is stopped and started on the same data. */
async function restartAll(tyto: Installation, sink: Counting) {
  const rootOf = () => tyto.processes().find(({ command }) => /cli\/src\/main\.ts up/.test(command))?.pid;
  const old = rootOf();
  const restarting = tyto.restart();
  // The next one begins when the last process of the old one has ended.
  const hasBegun = () => ![old, undefined].includes(rootOf());
  await until("the next one begins", hasBegun, { withinMs: 120_000, everyMs: 20 });
  const begunAt = performance.now();
  const before = sink.received();
  const first = until("the first delivery", () => sink.received() > before, {
    withinMs: stuckMs,
    everyMs: 5,
  }).then(() => secondsSince(begunAt));
  await restarting;
  const readyS = secondsSince(begunAt);
  return { readyS: round(readyS), firstDeliveryS: round(await first) };
}

async function measure(job: Job) {
  const quick = await startSink();
  const slow = await startTarpit(slowMs);
  const tyto = await startInstallation({
    routes: { "fresh.test": quick.address, "slow.test": slow.address },
    env: { RATE_LIMIT_PER_S: "1000000", MTA_SITE_CONNECTIONS: String(job.sessions) },
  });
  const memory = watch(tyto);
  try {
    await tyto.addDomain("bench.test");
    // The first messages of a process are slow.
    await sendFresh(tyto, quick, { ...job, fresh: Math.min(500, job.fresh) });
    await recorded(tyto, quick, job);
    const empty = await sendFresh(tyto, quick, job);
    const idlePeakMb = memory.peaksMb();
    console.error(`with an empty queue: ${JSON.stringify(empty)}`);

    const filled = await fill(tyto, job);
    console.error(`${filled.entries} recipients accepted in ${filled.seconds.toFixed(0)} s`);
    let queue = await queueOf(tyto);
    await until(
      "nearly all wait in the queue",
      async () => {
        queue = await queueOf(tyto);
        return queue.entries >= 0.95 * (filled.entries - slow.taken());
      },
      { withinMs, everyMs: countEveryMs },
    );
    const fillPeakMb = memory.peaksMb();
    await recorded(tyto, quick, job);
    console.error(`queued: ${JSON.stringify(queue)}`);

    const beside = await sendFresh(tyto, quick, job);
    const besidePeakMb = memory.peaksMb();
    console.error(`beside the queue: ${JSON.stringify(beside)}`);
    const takenSlowly = slow.taken();
    slow.hurry();
    const drained = { received: () => slow.taken() - takenSlowly };

    const mtaKilled = await killMta(tyto, drained);
    memory.refresh();
    console.error(`mta killed: ${JSON.stringify(mtaKilled)}`);
    const left = () => filled.entries - slow.taken();
    const sample = await receive(drained, Math.min(job.drain, Math.floor(left() / 2)));
    console.error(`drained: ${JSON.stringify(sample)}`);
    const drainPeakMb = memory.peaksMb();

    const atRestart = left();
    const restarted = await restartAll(tyto, drained);
    memory.refresh();
    console.error(`all restarted: ${JSON.stringify(restarted)}`);
    const after = await receive(drained, Math.min(job.drain, left()));
    const drainPerS = round(sample.received / sample.seconds, 1);
    return {
      queued: { ...filled, seconds: round(filled.seconds), perS: round(filled.entries / filled.seconds, 0) },
      queue,
      takenSlowly,
      empty,
      beside,
      drainPerS,
      afterRestart: {
        queued: atRestart,
        drainPerS: round(after.received / after.seconds, 1),
        left: left(),
        queue: await queueOf(tyto),
      },
      restart: { mtaKilled, all: restarted },
      ratio: { beside: round(beside.perS / empty.perS, 3), drain: round(drainPerS / empty.perS, 3) },
      peakMb: {
        idle: idlePeakMb,
        filling: fillPeakMb,
        beside: besidePeakMb,
        draining: drainPeakMb,
        afterRestart: memory.peaksMb(),
      },
    };
  } catch (error) {
    console.error(tyto.output().slice(-outputCharsShown));
    throw error;
  } finally {
    memory.stop();
    await tyto.stop();
    await Promise.all([quick.stop(), slow.stop()]);
  }
}

export const backlog = benchmark({
  name: "backlog",
  about: "memory, restart and speed with a long queue",
  options: {
    messages: { usual: 1_000_000, about: "recipients with mail in the queue" },
    recipients: { usual: 50, about: "of each message" },
    fresh: { usual: 10_000, about: "new messages beside it" },
    drain: { usual: 20_000, about: "messages sent from the queue at last" },
    bytes: { usual: 2_048, about: "of each body" },
    sessions: { usual: 20, about: "of the API's client" },
  },
  async run(job) {
    const [before] = loadavg();
    return {
      ...job,
      ...(await measure(job)),
      load: { before, after: loadavg()[0] },
      notes: [
        "the queue is for one site that answers each command after 1 s; each recipient is an entry of its own, recipients of one message share its body",
        "beside: new mail for a quick site, sent by the API with the queue there and recorded, over the same with an empty queue",
        "drain: the site is quick now; its mail comes when its booked time comes, up to 15 min later, so this is no speed limit",
        "mtaKilled: seconds since kill -9; all: seconds since `tyto up` began again",
      ],
    };
  },
});
