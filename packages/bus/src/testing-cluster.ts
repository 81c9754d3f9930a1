/** Three private nats-servers that are one cluster, for tests: free ports, throwaway stores, each as ops/nats-cluster.conf says. */
import type { UserName } from "@tyto/contracts";
import type { Bus } from "./bus.ts";
import { type BusOptions, connectBus } from "./connect.ts";
import type { Login } from "./link.ts";
import { provision } from "./provision.ts";
import { plainClient, silentLog } from "./testing.ts";
import { type ClusterNodes, makeNodes, nodes } from "./testing-cluster-nodes.ts";

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

type Info = { cluster?: { leader?: string; replicas?: { current?: boolean; offline?: boolean }[] } };

const startMsMax = 120_000;

export async function startCluster(): Promise<TestCluster> {
  const servers = await makeNodes();
  const url = servers.urls.join(",");
  const login: TestCluster["login"] = (user, node) => ({
    url: node === undefined ? url : (servers.urls[node] ?? ""),
    user,
    password: servers.passwords[user] ?? "",
  });
  const ask = askAs(login("admin"));
  const buses = new Set<Bus>();
  for (const node of nodes) servers.start(node);
  await waitFor(servers, "the cluster", () => takesStreams(ask));
  await provision(login("admin"), silentLog, { replicas: 3 });
  return {
    url,
    urls: servers.urls,
    login,
    async connect(user, node, more = {}) {
      const bus = await connectBus({ ...login(user, node), name: user, log: silentLog, ...more });
      buses.add(bus);
      return bus;
    },
    leaderOf: (stream, durable) =>
      waitFor(servers, `a leader of ${durable ?? stream}`, () => findLeader(ask, stream, durable)),
    kill: (node) => servers.kill(node),
    pause: (node) => servers.signal(node, "SIGSTOP"),
    resume: (node) => servers.signal(node, "SIGCONT"),
    restart: (node) => servers.start(node),
    async whenHealthy() {
      await waitFor(servers, "all replicas are current", () => areHealthy(ask));
    },
    async stop() {
      await Promise.all([...buses].map((bus) => bus.drain()));
      await servers.stop();
    },
  };
}

/** A question to JetStream; `undefined` while nobody answers. */
type Ask = <T>(subject: string, body?: unknown) => Promise<T | undefined>;

const askAs =
  (admin: Login): Ask =>
  async <T>(subject: string, body?: unknown) => {
    try {
      const client = await plainClient(admin);
      try {
        const data = body === undefined ? "" : JSON.stringify(body);
        return (await client.request(`$JS.API.${subject}`, data, { timeout: 10_000 })).json<T>();
      } finally {
        await client.close();
      }
    } catch {
      // No leader at the moment: the caller asks again.
      return undefined;
    }
  };

async function waitFor<T>(
  servers: ClusterNodes,
  what: string,
  look: () => Promise<T | undefined>,
): Promise<T> {
  for (const giveUpAtMs = Date.now() + startMsMax; ; ) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > giveUpAtMs) throw new Error(`${what} did not happen:\n${await servers.logs()}`);
    await Bun.sleep(100);
  }
}

/** A stream finds its three places only when the meta group knows all nodes. */
async function takesStreams(ask: Ask): Promise<true | undefined> {
  const info = await ask<{ error?: unknown }>("STREAM.CREATE.PROBE", {
    ...{ name: "PROBE", subjects: ["probe"], storage: "file", num_replicas: nodes.length },
  });
  if (info === undefined || info.error !== undefined) return undefined;
  await ask("STREAM.DELETE.PROBE");
  return true;
}

async function findLeader(ask: Ask, stream: string, durable?: string): Promise<number | undefined> {
  const info = await ask<Info>(
    durable === undefined ? `STREAM.INFO.${stream}` : `CONSUMER.INFO.${stream}.${durable}`,
  );
  const leader = info?.cluster?.leader ?? "";
  return leader === "" ? undefined : Number(leader.slice("nats-".length));
}

async function areHealthy(ask: Ask): Promise<true | undefined> {
  const list = await ask<{ streams?: Info[] | null }>("STREAM.LIST");
  const streams = list?.streams ?? [];
  return streams.length > 0 && streams.every(isHealthy) ? true : undefined;
}

const isHealthy = ({ cluster: { leader = "", replicas = [] } = {} }: Info) =>
  leader !== "" &&
  replicas.length === nodes.length - 1 &&
  replicas.every(({ current, offline }) => current === true && offline !== true);
