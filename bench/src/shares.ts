/**
 * `bun run bench shares`: several mta processes on one NATS, and one site whose limit they share; a limit of connections,
 * then one of messages per second. How much of it they use together, whether they ever use more, and how long after kill -9 of
 * one of them the others use its part. What is counted is what the site sees.
 */
import { loadavg } from "node:os";
import { startNats } from "@tyto/bus/testing";
import { type Mta, type Sending, startSending } from "@tyto/test/parts/sending.ts";
import { mostBeyond, mostWithin, type SiteServer, startSiteServer } from "@tyto/test/parts/site-server.ts";
import { until } from "@tyto/test/parts/until.ts";
import { benchmark } from "./benchmark.ts";
import { round } from "./figures.ts";

type Job = {
  processes: number;
  connections: number;
  perS: number;
  seconds: number;
  settleS: number;
  answerMs: number;
  backlog: number;
};

/** A limit as MTA_SITE_LIMITS has it, and whether all of it was used over the last `windowMs`. */
type Limit = { text: string; perS?: number; windowMs: number; isUsed(site: SiteServer): boolean };

/** A rate counts as used from this part on. */
const usedShareMin = 0.95;
const rateWindowMs = 5_000;
const isUsedMsMax = 60_000;
const acceptedAtOnce = 50;

const connectionsLimit = (connections: number): Limit => ({
  text: `connections=${connections}`,
  windowMs: 0,
  isUsed: (site) => site.open() >= connections,
});
const rateLimit = (perS: number): Limit => ({
  text: `rate=${perS}/s`,
  perS,
  windowMs: rateWindowMs,
  isUsed(site) {
    const sinceMs = performance.now() - rateWindowMs;
    const first = site.takenMs.findLastIndex((atMs) => atMs <= sinceMs) + 1;
    return site.takenMs.length - first >= (perS * usedShareMin * rateWindowMs) / 1_000;
  },
});

const nameOf = (index: number) => `mta-${index}`;
/** In EHLO, by which the site knows them apart. */
const hostOf = (index: number) => `${nameOf(index)}.tyto.test`;

/** Keeps so many messages waiting until it is stopped. */
function keepFull(sending: Sending, site: SiteServer, backlog: number) {
  let waiting = backlog;
  let isOver = false;
  const feeding = (async () => {
    while (!isOver) {
      if (sending.accepted() - site.takenMs.length < waiting) await sending.accept(acceptedAtOnce);
      else await Bun.sleep(10);
    }
  })();
  return {
    /** What a killed process had in hand comes back only after a while. */
    add(lost: number) {
      waiting += lost;
    },
    stop() {
      isOver = true;
      return feeding;
    },
  };
}

/** How much of the limit is used over some time. */
async function measure(site: SiteServer, seconds: number) {
  const [from, takenBefore] = [site.used(), site.takenMs.length];
  await Bun.sleep(seconds * 1_000);
  const to = site.used();
  const measuredS = (to.atMs - from.atMs) / 1_000;
  return {
    open: round((to.openS - from.openS) / measuredS, 3),
    busy: round((to.busyS - from.busyS) / measuredS, 3),
    perS: round((site.takenMs.length - takenBefore) / measuredS, 3),
    maxPerS: mostWithin(site.takenMs.slice(takenBefore), 10_000) / 10,
  };
}

/** Seconds from kill -9 of one process until the others use the whole limit, as far as a window tells from its beginning on. */
async function killOne(mta: Mta, site: SiteServer, limit: Limit): Promise<number> {
  mta.process.kill("SIGKILL");
  await mta.process.exited;
  const killedMs = performance.now();
  await until("its connections are gone", () => site.openOf(hostOf(0)) === 0);
  await Bun.sleep(limit.windowMs);
  await until("the others use all of the limit", () => limit.isUsed(site), {
    withinMs: isUsedMsMax,
    everyMs: 10,
  });
  return round((performance.now() - killedMs - limit.windowMs) / 1_000, 1);
}

/** Processes at work on one site with one limit. */
async function run(job: Job, limit: Limit) {
  const site = await startSiteServer(job.answerMs);
  const nats = await startNats({ users: true, syncAlways: true });
  const sending = await startSending(nats, {
    env: { TYTO_ROUTES: `*=${site.address}`, MTA_SITE_LIMITS: `${site.name}:${limit.text}` },
  });
  try {
    const indexes = Array.from({ length: job.processes }, (_, index) => index);
    const [first] = await Promise.all(
      indexes.map((index) => sending.startMta(nameOf(index), { MAIL_HOSTNAME: hostOf(index) })),
    );
    if (first === undefined) throw new Error("--processes must be 1 or more");
    const feed = keepFull(sending, site, job.backlog);
    await until("all of the limit is used", () => limit.isUsed(site), { withinMs: isUsedMsMax });
    await Bun.sleep(job.settleS * 1_000);
    const use = await measure(site, job.seconds);
    const parts = indexes.map((index) => site.openOf(hostOf(index)));
    feed.add(job.backlog);
    const recoveredS = await killOne(first, site, limit);
    await feed.stop();
    const figures = {
      ...use,
      parts,
      recoveredS,
      openMax: site.openMax(),
      ...(limit.perS === undefined ? {} : { beyondMax: Math.round(mostBeyond(site.takenMs, limit.perS)) }),
    };
    console.error(JSON.stringify({ limit: limit.text, ...figures }));
    return figures;
  } finally {
    await sending.stop();
    await nats.stop();
    await site.stop();
  }
}

export const shares = benchmark({
  name: "shares",
  about: "several mta processes share one site's limits, and one is killed",
  options: {
    processes: { usual: 3, about: "of the mta" },
    connections: { usual: 20, about: "the site's limit" },
    perS: { usual: 20, about: "messages a second, the site's limit" },
    seconds: { usual: 30, about: "of measuring" },
    settleS: { usual: 10, about: "seconds before it" },
    answerMs: { usual: 250, about: "the site takes for a message" },
    backlog: { usual: 1_000, about: "messages that wait" },
  },
  async run(job) {
    const [before] = loadavg();
    const connections = await run(job, connectionsLimit(job.connections));
    const rate = await run(job, rateLimit(job.perS));
    return {
      ...job,
      connectionsMax: connections.openMax,
      useShare: round(connections.open / job.connections, 3),
      busyShare: round(connections.busy / job.connections, 3),
      rateMaxPerS: rate.maxPerS,
      rateShare: round(rate.perS / job.perS, 3),
      rateBeyondMax: rate.beyondMax,
      recoveredS: Math.max(connections.recoveredS, rate.recoveredS),
      runs: { connections, rate },
      load: { before, after: loadavg()[0] },
    };
  },
});
