/** Three private nats-servers that are one cluster, for tests: free ports, throwaway stores, each as ops/nats-cluster.conf says. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type UserName, users } from "@tyto/contracts";
import type { Bus } from "./bus.ts";
import { type BusOptions, connectBus } from "./connect.ts";
import type { Login } from "./link.ts";
import { provision } from "./provision.ts";
import { plainClient, silentLog } from "./testing.ts";

export type TestCluster = {
  /** All nodes, for `NATS_URL`. */
  url: string;
  urls: readonly string[];
  /** The login of a user at all nodes, or at the one of `node`. */
  login(user: UserName | "admin" | "subscriber", node?: number): Login & { user: string; password: string };
  connect(user: UserName, node?: number, options?: Partial<BusOptions>): Promise<Bus>;
  /** The node that leads a stream, or one of its durables. */
  leaderOf(stream: string, durable?: string): Promise<number>;
  /** SIGKILL; the store stays. */
  kill(node: number): Promise<void>;
  /** SIGSTOP and SIGCONT: it is there and does not answer. */
  pause(node: number): void;
  resume(node: number): void;
  /** Starts a node again with its store. Does not wait until it has caught up. */
  restart(node: number): void;
  /** Resolves when every stream has a leader and all of its replicas are current. */
  whenHealthy(): Promise<void>;
  stop(): Promise<void>;
};

const nodes = [0, 1, 2];
const startMsMax = 60_000;
const conf = join(import.meta.dir, "../../../ops/nats-cluster.conf");

export async function startCluster(): Promise<TestCluster> {
  const program = Bun.which("nats-server");
  if (program === null)
    throw new Error("nats-server is not on PATH: run the tests with `./tyto test`, or install 2.14 or newer");
  const folder = await mkdtemp(join(tmpdir(), "tyto-cluster-"));
  const [clientPorts, routePorts] = await Promise.all([freePorts(nodes.length), freePorts(nodes.length)]);
  const word = () => `t${crypto.randomUUID().replaceAll("-", "")}`;
  const passwords: Record<string, string> = Object.fromEntries(
    [...Object.keys(users), "admin", "subscriber", "cluster"].map((user) => [user, word()]),
  );
  const routes = routePorts.map((port) => `nats://node:${passwords.cluster}@127.0.0.1:${port}`);
  const env = Object.fromEntries(
    Object.entries(passwords).map(([user, password]) => [`NATS_${user.toUpperCase()}_PASSWORD`, password]),
  );
  const servers: (Bun.Subprocess | undefined)[] = [];
  const start = (node: number) => {
    servers[node] = Bun.spawn(
      [
        program,
        ...["-c", conf, "-a", "127.0.0.1", "-p", String(clientPorts[node])],
        ...["--cluster", `nats://127.0.0.1:${routePorts[node]}`],
        ...["-sd", join(folder, `js-${node}`), "-l", join(folder, `log-${node}`)],
      ],
      {
        env: { ...env, NATS_NODE: `nats-${node}`, NATS_ROUTES: JSON.stringify(routes), TMPDIR: tmpdir() },
        stdin: "ignore",
        stdout: "ignore",
        stderr: "ignore",
      },
    );
  };
  const urls = clientPorts.map((port) => `nats://127.0.0.1:${port}`);
  const login: TestCluster["login"] = (user, node) => ({
    url: node === undefined ? urls.join(",") : (urls[node] ?? ""),
    user,
    password: passwords[user] ?? "",
  });
  const buses = new Set<Bus>();
  const killAll = () => {
    for (const server of servers) server?.kill("SIGKILL");
  };
  process.on("exit", killAll);

  const ask = async <T>(subject: string, body?: unknown): Promise<T | undefined> => {
    try {
      const client = await plainClient(login("admin"));
      try {
        const answer = await client.request(
          `$JS.API.${subject}`,
          body === undefined ? "" : JSON.stringify(body),
          {
            timeout: 3_000,
          },
        );
        return answer.json<T>();
      } finally {
        await client.close();
      }
    } catch {
      // No leader at the moment: the caller asks again.
      return undefined;
    }
  };
  const waitFor = async <T>(what: string, look: () => Promise<T | undefined>): Promise<T> => {
    for (const giveUpAtMs = Date.now() + startMsMax; ; ) {
      const found = await look();
      if (found !== undefined) return found;
      if (Date.now() > giveUpAtMs) {
        const logs = await Promise.all(
          nodes.map((node) => readFile(join(folder, `log-${node}`), "utf8").catch(() => "")),
        );
        throw new Error(`${what} did not happen:\n${logs.map((log) => log.slice(-1_500)).join("\n---\n")}`);
      }
      await Bun.sleep(100);
    }
  };

  for (const node of nodes) start(node);
  // A stream finds its three places only when the meta group knows all nodes.
  await waitFor("the cluster", async () => {
    const info = await ask<{ error?: unknown }>("STREAM.CREATE.PROBE", {
      ...{ name: "PROBE", subjects: ["probe"], storage: "file", num_replicas: nodes.length },
    });
    if (info === undefined || info.error !== undefined) return undefined;
    await ask("STREAM.DELETE.PROBE");
    return true;
  });
  await provision(login("admin"), silentLog, { replicas: 3 });

  type Info = { cluster?: { leader?: string; replicas?: { current?: boolean; offline?: boolean }[] } };
  const nodeOf = (name: string) => Number(name.slice("nats-".length));
  return {
    url: urls.join(","),
    urls,
    login,
    async connect(user, node, more = {}) {
      const bus = await connectBus({ ...login(user, node), name: user, log: silentLog, ...more });
      buses.add(bus);
      return bus;
    },
    leaderOf: (stream, durable) =>
      waitFor(`a leader of ${durable ?? stream}`, async () => {
        const info = await ask<Info>(
          durable === undefined ? `STREAM.INFO.${stream}` : `CONSUMER.INFO.${stream}.${durable}`,
        );
        const leader = info?.cluster?.leader;
        return leader === undefined || leader === "" ? undefined : nodeOf(leader);
      }),
    async kill(node) {
      servers[node]?.kill("SIGKILL");
      await servers[node]?.exited;
    },
    pause: (node) => servers[node]?.kill("SIGSTOP"),
    resume: (node) => servers[node]?.kill("SIGCONT"),
    restart: start,
    async whenHealthy() {
      await waitFor("all replicas are current", async () => {
        const list = await ask<{ streams?: Info[] | null }>("STREAM.LIST");
        const streams = list?.streams ?? [];
        const isHealthy = ({ cluster }: Info) =>
          (cluster?.leader ?? "") !== "" &&
          (cluster?.replicas ?? []).length === nodes.length - 1 &&
          (cluster?.replicas ?? []).every(({ current, offline }) => current === true && offline !== true);
        return streams.length > 0 && streams.every(isHealthy) ? true : undefined;
      });
    },
    async stop() {
      await Promise.all([...buses].map((bus) => bus.drain()));
      killAll();
      await Promise.all(servers.map((server) => server?.exited));
      process.off("exit", killAll);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Ports that were free a moment ago; all of them different. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer();
          server.on("error", reject);
          server.listen(0, "127.0.0.1", () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
