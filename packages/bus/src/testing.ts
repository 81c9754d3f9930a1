/** A private nats-server for tests: free port, throwaway store, real everything. */
import { mkdtemp, readFile, rm, statfs, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BucketName, buckets, consumers, streams, type UserName, users } from "@tyto/contracts";
import { connect, type NatsConnection } from "nats";
import { freePort } from "../../../test/parts/ports.ts";
import { bucketStream } from "./bucket.ts";
import type { Bus } from "./bus.ts";
import { type BusOptions, connectBus } from "./connect.ts";
import type { Login } from "./link.ts";
import type { BusLog } from "./log.ts";
import { provision } from "./provision.ts";

export const silentLog: BusLog = { info() {}, warn() {}, error() {} };

export type TestNats = {
  url: string;
  /** The login of a user; without `users` everybody may do everything. */
  login(user: UserName | "admin" | "subscriber"): Login;
  /** A Bus as this user, drained by `stop` at the latest. */
  connect(user: UserName, options?: Partial<BusOptions>): Promise<Bus>;
  /** Empties every stream and bucket, so that the next test finds nothing. Consumptions must have stopped. */
  clear(): Promise<void>;
  /** The server's process. */
  pid(): number;
  /** SIGKILL; the store stays. */
  kill(): Promise<void>;
  /** SIGTERM; the store stays. */
  halt(): Promise<void>;
  /** Starts it again, with its store and at the same port. */
  restart(): Promise<void>;
  stop(): Promise<void>;
};

export type TestNatsOptions = {
  /** With ops/nats.conf: a user per service, each with its own rights only. */
  users?: boolean;
  /** Without the streams, buckets and durables. */
  bare?: boolean;
  /** As in production, a store on disk with an fsync for each write; the default leaves both out, which is faster. */
  syncAlways?: boolean;
  /** Redeliver what is not acknowledged after this time instead of what the contracts say; for tests of crashes. */
  ackWaitMs?: number;
};

/** A busy machine takes a while to answer; the client gives up after 5 s by itself. */
const answerMsMax = 30_000;

/** A plain client for what only tests do: looking into streams, publishing what breaks a contract. */
export async function plainClient({ url, user, password }: Login): Promise<NatsConnection> {
  const client = await connect({
    servers: url,
    ...(user === undefined ? {} : { user, inboxPrefix: `_INBOX_${user}` }),
    ...(password === undefined ? {} : { pass: password }),
  });
  const [manager, stream] = [client.jetstreamManager.bind(client), client.jetstream.bind(client)];
  client.jetstreamManager = (options) => manager({ timeout: answerMsMax, ...options });
  client.jetstream = (options) => stream({ timeout: answerMsMax, ...options });
  return client;
}

async function shortenAckWait(login: Login, ackWaitMs: number): Promise<void> {
  const client = await plainClient(login);
  const manager = await client.jetstreamManager();
  for (const [name, { stream }] of Object.entries(consumers))
    await manager.consumers.update(stream, name, { ack_wait: ackWaitMs * 1e6 });
  await client.drain();
}

/** A busy machine takes a while to start a process. */
const startMsMax = 30_000;
const natsConf = join(import.meta.dir, "../../../ops/nats.conf");
const syncAlwaysLine = /^ *sync_interval: always$/m;

/** The files of one are made and deleted by the hundred, which costs a disk more than all that is written into them. */
const memoryFolder = "/dev/shm";
/** Many times what tests store; containers often have 64 MB, which may not do. */
const memoryBytesMin = 2 * 1024 ** 3;

/** Where a store lies that need not survive anything but its server: in memory if there is plenty. */
async function storeFolder(): Promise<string> {
  const room = await statfs(memoryFolder).catch(() => undefined);
  return room !== undefined && room.bavail * room.bsize >= memoryBytesMin ? memoryFolder : tmpdir();
}

/** The server's configuration as text. */
async function configuration({ users: withUsers, syncAlways }: TestNatsOptions): Promise<string> {
  if (!withUsers) return `max_payload: 1048576\njetstream { ${syncAlways ? "sync_interval: always" : ""} }\n`;
  const text = await readFile(natsConf, "utf8");
  if (!syncAlwaysLine.test(text)) throw new Error(`${natsConf} has no line "sync_interval: always" any more`);
  return syncAlways ? text : text.replace(syncAlwaysLine, "");
}

/** Starts the `nats-server` of PATH; throws with what to do when there is none. */
export async function startNats(options: TestNatsOptions = {}): Promise<TestNats> {
  const program = Bun.which("nats-server");
  if (program === null)
    throw new Error(
      "nats-server is not on PATH: run the tests with `./tyto test`, or install nats-server 2.14 or newer",
    );
  const folder = await mkdtemp(join(options.syncAlways ? tmpdir() : await storeFolder(), "tyto-nats-"));
  const passwords = Object.fromEntries(
    [...Object.keys(users), "admin", "subscriber"].map((user) => [
      user,
      `t${crypto.randomUUID().replaceAll("-", "")}`,
    ]),
  );
  const env = Object.fromEntries(
    Object.entries(passwords).map(([user, password]) => [`NATS_${user.toUpperCase()}_PASSWORD`, password]),
  );
  await writeFile(join(folder, "nats.conf"), await configuration(options));
  // One that nobody else gets while the server is down: those that the system gives out are given to connections, too.
  const port = await freePort();
  let server: Bun.Subprocess;

  const start = async () => {
    server = Bun.spawn(
      [
        program,
        ...["-c", join(folder, "nats.conf")],
        ...["-a", "127.0.0.1", "-p", String(port), "--ports_file_dir", folder],
        ...["-sd", join(folder, "js"), "-l", join(folder, "log")],
      ],
      { env: { ...env, TMPDIR: tmpdir() }, stdin: "ignore", stdout: "ignore", stderr: "ignore" },
    );
    const portsFile = join(folder, `nats-server_${server.pid}.ports`);
    for (const giveUpAtMs = Date.now() + startMsMax; ; ) {
      const text = await readFile(portsFile, "utf8").catch(() => "");
      if (text.endsWith("}")) return;
      if (server.exitCode !== null || Date.now() > giveUpAtMs) {
        const log = await readFile(join(folder, "log"), "utf8").catch(() => "(no log)");
        throw new Error(`nats-server did not start:\n${log.slice(-2_000)}`);
      }
      await Bun.sleep(2);
    }
  };
  const end = async (signal: "SIGKILL" | "SIGTERM") => {
    server.kill(signal);
    await server.exited;
  };

  // A test that ends without stop(), by an error or process.exit, leaves no server behind.
  const killAtExit = () => server.kill("SIGKILL");
  process.on("exit", killAtExit);

  await start();
  const url = `nats://127.0.0.1:${port}`;
  const buses = new Set<Bus>();
  const login: TestNats["login"] = (user) =>
    options.users ? { url, user, password: passwords[user] } : { url };
  try {
    if (!options.bare) await provision(login("admin"), silentLog);
    if (options.ackWaitMs !== undefined) await shortenAckWait(login("admin"), options.ackWaitMs);
  } catch (error) {
    await end("SIGKILL");
    throw error;
  }
  return {
    url,
    login,
    async connect(user, more = {}) {
      const bus = await connectBus({ ...login(user), name: user, log: silentLog, ...more });
      buses.add(bus);
      return bus;
    },
    async clear() {
      const client = await plainClient(login("admin"));
      const manager = await client.jetstreamManager();
      const names = [...Object.keys(streams), ...(Object.keys(buckets) as BucketName[]).map(bucketStream)];
      await Promise.all(names.map((name) => manager.streams.purge(name)));
      await client.drain();
    },
    pid: () => server.pid,
    kill: () => end("SIGKILL"),
    halt: () => end("SIGTERM"),
    restart: start,
    async stop() {
      await Promise.all([...buses].map((bus) => bus.drain()));
      await end("SIGKILL");
      process.off("exit", killAtExit);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
