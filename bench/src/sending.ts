/**
 * The mta alone: accepted mail is put where the gateway puts it, a nats-server that syncs every write, smtp-sink as the server. Tells
 * the mta's CPU by thread. With `--against` a second checkout, or `--env` with and without, take turns in the same run.
 */
import { readdir, readFile } from "node:fs/promises";
import { loadavg } from "node:os";
import { join } from "node:path";
import { type Bus, done } from "@tyto/bus";
import { startNats, type TestNats } from "@tyto/bus/testing";
import { Address, Domain, type DomainRecord, defaultOrganization, newMessageId } from "@tyto/contracts";
import { until } from "@tyto/test/parts/until.ts";
import { textOf } from "./api-load.ts";
import { benchmark } from "./benchmark.ts";
import { median, round } from "./figures.ts";
import { startSink } from "./sink.ts";

type Job = { messages: number; warmup: number; bytes: number; connections: number };
type Variant = { name: string; folder: string; env: Record<string, string> };
/** CPU seconds per 1,000 messages. */
type Figures = { perS: number; cpuSPer1000: number; byThread: Record<string, number> };

const withinMs = 300_000;
const ticksPerS = 100;
const packBodies = 50;
const packBytesMax = 524_288;
const domain = Domain.parse("bench.test");
const here = join(import.meta.dir, "../..");

/** What Convex is to the mta: it hands keys back, those of `algorithms`, and hears of deliveries. */
async function startConvex(bus: Bus, algorithms: readonly string[]) {
  const domains = bus.bucket("DOMAINS");
  const record: DomainRecord = {
    domain,
    organizationId: defaultOrganization,
    returnPathHost: Domain.parse("bounces.bench.test"),
    keys: [],
    verified: true,
  };
  let delivered = 0;
  await domains.put(domain, record);
  await bus.consumeBatches("recorder", { batchMax: 200, waitMs: 5 }, async (batch) => {
    for (const { event } of batch) {
      if (event.subject === "mail.delivered") delivered++;
      if (event.subject !== "domain.keyed") continue;
      const keys = event.payload.keys.filter(({ algorithm }) => algorithms.includes(algorithm));
      await domains.put(domain, { ...record, keys });
    }
    return done;
  });
  return {
    delivered: () => delivered,
    isKeyed: async () => ((await domains.get(domain))?.keys.length ?? 0) > 0,
  };
}

/** Accepted messages as a batch of the API stores them: bodies in packs, events in messages of many. */
async function accept(gateway: Bus, count: number, bytes: number): Promise<void> {
  const text = textOf(bytes);
  const packMax = Math.max(1, Math.min(packBodies, Math.floor(packBytesMax / (bytes + 600))));
  for (let at = 0; at < count; at += packMax) {
    const bodies: Buffer[] = [];
    const pack = `p${newMessageId()}`;
    let packBytes = 0;
    const messages = Array.from({ length: Math.min(packMax, count - at) }, (_, index) => {
      const messageId = newMessageId();
      const to = `u${at + index}@dst.test`;
      const body = Buffer.from(
        `From: a@bench.test\r\nTo: ${to}\r\nSubject: Bench ${at + index}\r\nMessage-ID: <${messageId}@bench.test>\r\n` +
          `Date: ${new Date().toUTCString()}\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n` +
          `Content-Transfer-Encoding: 7bit\r\n\r\n${text}`,
      );
      bodies.push(body);
      const offset = packBytes;
      packBytes += body.length;
      return {
        ...{ id: `${messageId}.accepted`, at: Date.now(), organizationId: defaultOrganization, messageId },
        ...{ messageIdHeader: `${messageId}@bench.test`, from: Address.parse("a@bench.test"), domain },
        ...{ subject: "Bench", recipients: [{ address: Address.parse(to), role: "to" as const }] },
        ...{ bodyBytes: body.length, bodyChunks: 1, attachments: 0, tags: [], metadata: {} },
        expiresAt: Date.now() + 86_400_000,
        offset,
      };
    });
    await gateway.bodies.putPack(pack, bodies);
    await gateway.publishAll(
      "mail.accepted",
      messages.map(({ offset, ...message }) => ({
        ...message,
        bodyPack: { id: pack, offset, bodies: messages.length },
      })),
    );
  }
}

/** CPU seconds of each kind of thread so far. */
async function cpuByThread(pid: number): Promise<Map<string, number>> {
  const sums = new Map<string, number>();
  for (const thread of await readdir(`/proc/${pid}/task`)) {
    // A thread may end between the listing and the reading.
    const stat = await readFile(`/proc/${pid}/task/${thread}/stat`, "utf8").catch(() => undefined);
    if (stat === undefined) continue;
    const end = stat.lastIndexOf(")");
    const name = thread === String(pid) ? "main" : stat.slice(stat.indexOf("(") + 1, end);
    const fields = stat.slice(end + 2).split(" ");
    const ticks = Number(fields[11]) + Number(fields[12]);
    sums.set(name, (sums.get(name) ?? 0) + ticks / ticksPerS);
  }
  return sums;
}

const startMta = (nats: TestNats, { folder, env }: Variant, route: string, connections: number) => {
  const { url, user = "", password = "" } = nats.login("mta");
  return Bun.spawn([process.execPath, "--no-env-file", join(folder, "services/mta/src/main.ts")], {
    cwd: folder,
    env: {
      ...{ PATH: process.env.PATH, HOME: process.env.HOME },
      ...{ NATS_URL: url, NATS_USER: user, NATS_PASSWORD: password, HEALTH_PORT: "0" },
      ...{ MTA_SECRET: "a secret of the bench, long enough", BOUNCE_VERP_KEY: "a verp key, long enough" },
      ...{ MAIL_HOSTNAME: "mail.bench.test", TYTO_DNS_SERVERS: "127.0.0.1:1", TYTO_ROUTES: `*=${route}` },
      ...{ MTA_SITE_CONNECTIONS: String(connections), MTA_NAME: `bench-${newMessageId()}` },
      ...env,
    },
    stdout: Bun.file("/dev/null"),
    stderr: "inherit",
  });
};

async function measure(
  nats: TestNats,
  gateway: Bus,
  convex: Awaited<ReturnType<typeof startConvex>>,
  variant: Variant,
  { messages, warmup, bytes, connections }: Job,
): Promise<Figures> {
  const sink = await startSink();
  const mta = startMta(nats, variant, sink.address, connections);
  try {
    await until("the mta has keys", convex.isKeyed, { withinMs });
    const before = convex.delivered();
    const arrived = (count: number) =>
      until("all is delivered", () => convex.delivered() - before >= count, { withinMs, everyMs: 5 });
    await accept(gateway, warmup, bytes);
    await arrived(warmup);
    const cpuBefore = await cpuByThread(mta.pid);
    const startedAt = performance.now();
    await accept(gateway, messages, bytes);
    await arrived(warmup + messages);
    const seconds = (performance.now() - startedAt) / 1_000;
    const byThread = [...(await cpuByThread(mta.pid))].map(
      ([name, cpuS]) =>
        [name, round(((cpuS - (cpuBefore.get(name) ?? 0)) / messages) * 1_000, 3)] as [string, number],
    );
    return {
      perS: Math.round(messages / seconds),
      cpuSPer1000: round(
        byThread.reduce((sum, [, cpuS]) => sum + cpuS, 0),
        3,
      ),
      byThread: Object.fromEntries(byThread.filter(([, cpuS]) => cpuS >= 0.01)),
    };
  } finally {
    mta.kill("SIGTERM");
    await mta.exited;
    await sink.stop();
  }
}

const asStarted = "BUN_JSC_thresholdForFTLOptimizeAfterWarmUp=500000";
const environmentOf = (text: string) =>
  Object.fromEntries(
    text
      .split(",")
      .filter((pair) => pair !== "")
      .map((pair) => pair.split("=", 2)),
  );

export const sending = benchmark({
  name: "sending",
  about: "CPU of the mta alone by thread, beside itself",
  options: {
    messages: { usual: 3_000, about: "of each round" },
    bytes: { usual: 2_048, about: "of each body" },
    keys: { usual: "both", about: "to sign with: both or ed25519" },
    connections: { usual: 50, about: "to the remote server" },
    rounds: { usual: 3, about: "of each variant; the median counts" },
    against: { usual: "", about: "the folder of another checkout" },
    env: { usual: asStarted, about: "the mta's environment, NAME=value by commas" },
    envAgainst: { usual: "", about: "that of the other variant, the same if empty" },
  },
  async run(given) {
    const { messages, bytes, connections } = given;
    const job: Job = { messages, warmup: Math.min(500, messages), bytes, connections };
    const keys = given.keys === "ed25519" ? ["ed25519-sha256"] : ["ed25519-sha256", "rsa-sha256"];
    const variants: Variant[] = [{ name: "here", folder: here, env: environmentOf(given.env) }];
    if (given.against !== "" || given.envAgainst !== "")
      variants.push({
        name: "against",
        folder: given.against || here,
        env: environmentOf(given.envAgainst || given.env),
      });
    const nats = await startNats({ users: true, syncAlways: true });
    try {
      const [gateway, recorder] = await Promise.all([nats.connect("gateway"), nats.connect("recorder")]);
      const convex = await startConvex(recorder, keys);
      const found = new Map<string, Figures[]>(variants.map(({ name }) => [name, []]));
      for (let index = 0; index < given.rounds; index++)
        for (const variant of variants) {
          const figures = await measure(nats, gateway, convex, variant, job);
          console.error(`${variant.name}: ${JSON.stringify(figures)}`);
          found.get(variant.name)?.push(figures);
        }
      return {
        ...job,
        keys,
        ...Object.fromEntries(
          [...found].map(([name, rounds]) => [
            name,
            {
              cpuSPer1000: median(rounds.map(({ cpuSPer1000 }) => cpuSPer1000)),
              least: Math.min(...rounds.map(({ cpuSPer1000 }) => cpuSPer1000)),
              rounds,
            },
          ]),
        ),
        load: loadavg()[0],
      };
    } finally {
      await nats.stop();
    }
  },
});
