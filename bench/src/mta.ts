/**
 * Mail from being accepted to a remote server, beside Postfix and Haraka in the same run: 50 connections in, 50 out, the same
 * messages, smtp-sink with PIPELINING as the server. Everyone says "accepted" only when the message is on the disk: Tyto's
 * nats-server, Postfix and Haraka sync each (a batch of the API is synced before its 202).
 */
import { loadavg } from "node:os";
import { connectBus } from "@tyto/bus";
import { Domain } from "@tyto/contracts";
import { type Installation, startInstallation } from "@tyto/test/parts/installation.ts";
import { until } from "@tyto/test/parts/until.ts";
import { sendByApi, textOf } from "./api-load.ts";
import { benchmark } from "./benchmark.ts";
import { median, round } from "./figures.ts";
import { startHaraka } from "./mta-haraka.ts";
import { type Relay, startPostfixRelay } from "./postfix-relay.ts";
import { cpuByName, cpuSeconds, watchMemory, watchMemoryByName, watchStolen } from "./processes.ts";
import { isRecorded } from "./recorded.ts";
import { type Sink, startSink } from "./sink.ts";
import { sendBySmtp } from "./smtp-load.ts";

type Job = { messages: number; bytes: number; sessions: number; batch: number; warmup: number };
type Figures = {
  /** Messages, from the first one offered until the last one is at the sink. */
  perS: number;
  cpuSPer1000: number;
  /** The share of the processors' time that the machine's host gave to others meanwhile. */
  stolen: number;
  [more: string]: unknown;
};
type Lane = (job: Job) => Promise<Figures>;

const benched = ["gateway", "mta", "recorder", "nats-server", "convex-local"] as const;
const withinMs = 1_200_000;
/** Messages before the clock runs: servers run for months, and compilers, caches and connections need a start. */
const warmupMax = 2_000;

const arrived = (sink: Sink, count: number) =>
  until("all messages arrive", () => sink.received() >= count, { withinMs, everyMs: 10 });

/** Tyto as people run it, all of it. */
const throughTyto =
  (prepare: (tyto: Installation, domain: string) => Promise<() => Promise<void>>): Lane =>
  async (job) => {
    const sink = await startSink();
    const tyto = await startInstallation({
      routes: { "*": sink.address },
      env: { RATE_LIMIT_PER_S: "1000000", MTA_SITE_CONNECTIONS: String(job.sessions) },
    });
    try {
      await tyto.addDomain("bench.test");
      const check = await prepare(tyto, "bench.test");
      const text = textOf(job.bytes);
      const mailOf = (index: number) => ({
        from: "a@bench.test",
        to: `u${index}@dst.test`,
        subject: `Bench ${index}`,
        text,
      });
      await sendByApi(tyto, { ...job, messages: job.warmup, mailOf });
      await arrived(sink, job.warmup);
      const isKnown = (count: number) => () => isRecorded(tyto, "delivered", count);
      await until("Convex knows the first deliveries", isKnown(job.warmup), { withinMs });

      const roots = tyto.processes().map(({ pid }) => pid);
      const named = benched.flatMap((name) => {
        const found = tyto.process(name);
        return found === undefined ? [] : [{ name, pid: found.pid }];
      });
      const memory = watchMemoryByName(() => named);
      const whole = watchMemory(roots);
      const stolen = await watchStolen();
      const [cpuBefore, byNameBefore] = [await cpuSeconds(roots), await cpuByName(named)];
      const startedAt = performance.now();
      const { seconds: acceptedS } = await sendByApi(tyto, { ...job, mailOf });
      await arrived(sink, job.warmup + job.messages);
      const seconds = (performance.now() - startedAt) / 1_000;
      const stolenShare = await stolen();
      // What is recorded later costs too.
      const all = job.warmup + job.messages;
      await until("Convex knows every delivery", isKnown(all), { withinMs, everyMs: 1_000 });
      const recordedS = (performance.now() - startedAt) / 1_000;
      const cpuS = (await cpuSeconds(roots)) - cpuBefore;
      const byName = await cpuByName(named);
      memory.stop();
      whole.stop();
      await check();
      const cpuOf = (name: string) => (byName[name] ?? 0) - (byNameBefore[name] ?? 0);
      return {
        perS: round(job.messages / seconds, 0),
        acceptPerS: round(job.messages / acceptedS, 0),
        recordedPerS: round(job.messages / recordedS, 0),
        cpuSPer1000: round((cpuS / job.messages) * 1_000),
        cpuSPer1000ByProcess: Object.fromEntries(
          named.map(({ name }) => [name, round((cpuOf(name) / job.messages) * 1_000)]),
        ),
        stolen: round(stolenShare),
        peakMb: whole.peakMb(),
        peakMbByProcess: memory.peaksMb(),
        duplicates: sink.received() - job.warmup - job.messages,
      };
    } finally {
      await tyto.stop();
      await sink.stop();
    }
  };

const asItIs = async () => async () => {};

/** Leaves the domain its Ed25519 key alone, in the record that the mta signs by; fails if that did not last. */
async function ed25519Alone(tyto: Installation, name: string): Promise<() => Promise<void>> {
  const domain = Domain.parse(name);
  const bus = await connectBus({
    url: tyto.natsUrl,
    user: "recorder",
    password: tyto.secret("NATS_RECORDER_PASSWORD"),
    name: "bench",
    log: { info() {}, warn() {}, error() {} },
  });
  const domains = bus.bucket("DOMAINS");
  const record = await domains.get(domain);
  const keys = record?.keys.filter(({ algorithm }) => algorithm === "ed25519-sha256") ?? [];
  if (record === undefined || keys.length !== 1) throw new Error(`${name} has no Ed25519 key`);
  await domains.put(domain, { ...record, keys });
  return async () => {
    const after = (await domains.get(domain))?.keys.map(({ algorithm }) => algorithm);
    await bus.drain();
    if (after?.join() !== "ed25519-sha256") throw new Error(`${name} was signed with ${after?.join()}`);
  };
}

/** A relay, which takes the messages by SMTP and does not sign. */
const throughRelay =
  (start: (target: string, connections: number) => Promise<Relay>): Lane =>
  async (job) => {
    const sink = await startSink();
    try {
      const relay = await start(sink.address, job.sessions);
      try {
        await sendBySmtp(relay.address, { ...job, messages: job.warmup });
        await arrived(sink, job.warmup);
        const memory = watchMemory([relay.pid]);
        const stolen = await watchStolen();
        const cpuBefore = await cpuSeconds([relay.pid]);
        const startedAt = performance.now();
        await sendBySmtp(relay.address, job);
        const acceptedS = (performance.now() - startedAt) / 1_000;
        await arrived(sink, job.warmup + job.messages);
        const seconds = (performance.now() - startedAt) / 1_000;
        const cpuS = (await cpuSeconds([relay.pid])) - cpuBefore;
        memory.stop();
        return {
          version: relay.version,
          perS: round(job.messages / seconds, 0),
          acceptPerS: round(job.messages / acceptedS, 0),
          cpuSPer1000: round((cpuS / job.messages) * 1_000),
          stolen: round(await stolen()),
          peakMb: memory.peakMb(),
        };
      } finally {
        await relay.stop();
      }
    } finally {
      await sink.stop();
    }
  };

/** smtp-source straight to smtp-sink: nothing can be faster that speaks SMTP to it. */
const raw: Lane = async (job) => {
  const sink = await startSink();
  try {
    const cpuBefore = await cpuSeconds([sink.pid]);
    const stolen = await watchStolen();
    const startedAt = performance.now();
    await sendBySmtp(sink.address, job);
    await arrived(sink, job.messages);
    const seconds = (performance.now() - startedAt) / 1_000;
    const cpuS = (await cpuSeconds([sink.pid])) - cpuBefore;
    return {
      perS: round(job.messages / seconds, 0),
      cpuSPer1000: round((cpuS / job.messages) * 1_000),
      stolen: round(await stolen()),
    };
  } finally {
    await sink.stop();
  }
};

const relays: Readonly<Record<string, Lane>> = {
  postfix: throughRelay(startPostfixRelay),
  haraka: throughRelay(startHaraka),
};

/** The rounds of one lane as one: the median by rate, and all rates. */
function middle(rounds: readonly Figures[]): Figures {
  const [first] = rounds;
  if (first === undefined) throw new Error("there was no round");
  const perS = median(rounds.map((figures) => figures.perS));
  const chosen = rounds.find((figures) => figures.perS === perS) ?? first;
  return rounds.length === 1 ? chosen : { ...chosen, perSOfRounds: rounds.map((figures) => figures.perS) };
}

async function measure(lanes: Readonly<Record<string, Lane>>, job: Job, rounds: number) {
  const figures: Record<string, Figures[]> = {};
  const missing: Record<string, string> = {};
  for (let index = 0; index < rounds; index++)
    for (const [name, lane] of Object.entries(lanes)) {
      if (name in missing) continue;
      try {
        const measured = await lane(job);
        console.error(`${name}, ${job.bytes} bytes: ${JSON.stringify(measured)}`);
        figures[name] = [...(figures[name] ?? []), measured];
      } catch (error) {
        if (!(name in relays)) throw error;
        // A peer that cannot run here leaves its ratio out.
        missing[name] = error instanceof Error ? error.message : String(error);
        console.error(`${name} is left out: ${missing[name]}`);
      }
    }
  const medians = Object.fromEntries(
    Object.entries(figures)
      .filter(([name]) => !(name in missing))
      .map(([name, found]) => [name, middle(found)]),
  );
  return { medians, missing };
}

const ratioOf = (ours: Figures | undefined, theirs: Figures | undefined) =>
  ours === undefined || theirs === undefined ? undefined : round(ours.perS / theirs.perS);
/** The worst of all sizes; absent where a size has none. */
const lowest = (ratios: readonly (number | undefined)[]) => {
  const found = ratios.filter((ratio) => ratio !== undefined);
  return found.length === 0 || found.length < ratios.length ? undefined : Math.min(...found);
};

export const mta = benchmark({
  name: "mta",
  about: "messages per second from accepted to smtp-sink, beside other mail servers",
  options: {
    against: { usual: "postfix,haraka", about: "peers, by commas" },
    messages: { usual: 5_000, about: "of each size and server" },
    sessions: { usual: 50, about: "into each server" },
    sizes: { usual: "2048,20480", about: "bytes of a body, by commas" },
    batch: { usual: 100, about: "messages of each request of the API" },
    rounds: { usual: 1, about: "of all; the median counts" },
  },
  async run({ messages, sessions, batch, rounds, ...lists }) {
    const against = lists.against.split(",").filter((name) => name !== "");
    const unknown = against.find((name) => !(name in relays));
    if (unknown !== undefined)
      throw new Error(`--against knows ${Object.keys(relays).join(" and ")}, not ${unknown}`);
    const sizes = lists.sizes.split(",").map(Number);
    const shape = { messages, sessions, batch, warmup: Math.min(warmupMax, Math.ceil(messages / 5)) };
    const lanes: Record<string, Lane> = {
      tyto: throughTyto(asItIs),
      tytoEd25519: throughTyto(ed25519Alone),
      ...Object.fromEntries(Object.entries(relays).filter(([name]) => against.includes(name))),
      raw,
    };
    const [loadBefore] = loadavg();
    const bySize: Record<string, Awaited<ReturnType<typeof measure>>> = {};
    for (const bytes of sizes) bySize[bytes] = await measure(lanes, { ...shape, bytes }, rounds);
    const ratiosOf = (ours: string) =>
      Object.fromEntries(
        against.map((peer) => [
          peer,
          lowest(Object.values(bySize).map(({ medians }) => ratioOf(medians[ours], medians[peer]))),
        ]),
      );
    return {
      ...shape,
      sizes,
      rounds,
      ratio: ratiosOf("tyto"),
      ratioEd25519: ratiosOf("tytoEd25519"),
      bySize: Object.fromEntries(Object.entries(bySize).map(([bytes, { medians }]) => [bytes, medians])),
      missing: Object.assign({}, ...Object.values(bySize).map(({ missing }) => missing)),
      load: { before: loadBefore, after: loadavg()[0] },
      notes: [
        "ratio: messages per second of Tyto, signing with RSA-2048 and Ed25519, over those of the peer, which does not sign; the lowest of all sizes",
        "durable: each is on disk by an fsync before it is accepted, by a 202 for Tyto's batches and a 250 for the others",
        "Tyto without DKIM is not measured: mail that cannot be signed is never sent, and no setting changes that",
        "Tyto's CPU and memory are those of every process, until all is recorded in Convex; the clients run on the same cores",
      ],
    };
  },
});
