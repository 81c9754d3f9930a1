import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { users } from "@tyto/contracts";
import { freePort } from "../../../test/parts/ports.ts";

export const nodes = [0, 1, 2];
const conf = join(import.meta.dir, "../../../ops/nats-cluster.conf");

type Places = {
  program: string;
  folder: string;
  clientPorts: readonly number[];
  routePorts: readonly number[];
};

/** Throws when there is no nats-server on PATH. */
export async function makeNodes(): Promise<ClusterNodes> {
  const program = Bun.which("nats-server");
  if (program === null)
    throw new Error("nats-server is not on PATH: run the tests with `./tyto test`, or install 2.14 or newer");
  const folder = await mkdtemp(join(tmpdir(), "tyto-cluster-"));
  const [clientPorts, routePorts] = await Promise.all([
    Promise.all(nodes.map(() => freePort())),
    Promise.all(nodes.map(() => freePort())),
  ]);
  return new ClusterNodes({ program, folder, clientPorts, routePorts });
}

/** The processes of a cluster, with their stores, logs and passwords. */
export class ClusterNodes {
  readonly #places: Places;
  readonly #servers: (Bun.Subprocess | undefined)[] = [];
  readonly #killAll = () => {
    for (const server of this.#servers) server?.kill("SIGKILL");
  };
  readonly passwords: Readonly<Record<string, string>> = newPasswords();
  readonly urls: readonly string[];

  constructor(places: Places) {
    this.#places = places;
    this.urls = places.clientPorts.map((port) => `nats://127.0.0.1:${port}`);
    process.on("exit", this.#killAll);
  }

  /** With its store, if it ran before. */
  start(node: number): void {
    const { program, folder, clientPorts, routePorts } = this.#places;
    const places = [
      ...["-c", conf, "-a", "127.0.0.1", "-p", String(clientPorts[node])],
      ...["--cluster", `nats://127.0.0.1:${routePorts[node]}`],
      ...["-sd", join(folder, `js-${node}`), "-l", join(folder, `log-${node}`)],
    ];
    this.#servers[node] = Bun.spawn([program, ...places], {
      env: this.#environmentOf(node),
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    });
  }

  signal(node: number, signal: "SIGSTOP" | "SIGCONT"): void {
    this.#servers[node]?.kill(signal);
  }

  /** SIGKILL; the store stays. */
  async kill(node: number): Promise<void> {
    this.#servers[node]?.kill("SIGKILL");
    await this.#servers[node]?.exited;
  }

  /** The ends of their logs. */
  async logs(): Promise<string> {
    const logs = await Promise.all(
      nodes.map((node) => readFile(join(this.#places.folder, `log-${node}`), "utf8").catch(() => "")),
    );
    return logs.map((log) => log.slice(-1_500)).join("\n---\n");
  }

  async stop(): Promise<void> {
    this.#killAll();
    await Promise.all(this.#servers.map((server) => server?.exited));
    process.off("exit", this.#killAll);
    await rm(this.#places.folder, { recursive: true, force: true });
  }

  #environmentOf(node: number): Record<string, string> {
    const { cluster } = this.passwords;
    const routes = this.#places.routePorts.map((port) => `nats://node:${cluster}@127.0.0.1:${port}`);
    const passwords = Object.entries(this.passwords).map(
      ([user, password]) => [`NATS_${user.toUpperCase()}_PASSWORD`, password] as const,
    );
    return {
      ...Object.fromEntries(passwords),
      NATS_NODE: `nats-${node}`,
      NATS_ROUTES: JSON.stringify(routes),
      TMPDIR: tmpdir(),
    };
  }
}

/** They begin with a letter: others are numbers to nats-server. */
const newPasswords = () =>
  Object.fromEntries(
    [...Object.keys(users), "admin", "subscriber", "cluster"].map((user) => [
      user,
      `t${crypto.randomUUID().replaceAll("-", "")}`,
    ]),
  );
