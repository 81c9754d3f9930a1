/** convex-local as people run it: a process of its own, spoken to over HTTP. */
import { join } from "node:path";
import { deployFixture } from "@tyto/convex-local/fixtures/deploy.ts";

const adminKey = `bench|${"ab".repeat(16)}`;
const main = join(import.meta.dir, "../../../packages/convex-local/src/main.ts");
const app = join(import.meta.dir, "../../store/convex");

export type Engine = {
  url: string;
  siteUrl: string;
  pid: number;
  /** How long it took from the start of the process until it answers. */
  startMs: number;
  deploy(directory?: string): Promise<void>;
  setEnvironment(name: string, value: string): Promise<void>;
  call(kind: "query" | "mutation", path: string, args: unknown): Promise<unknown>;
  stop(signal?: "SIGTERM" | "SIGKILL"): Promise<void>;
};

const running = new Set<Bun.Subprocess>();

/** Ends whatever a measurement that failed has left. */
export async function stopEngines(): Promise<void> {
  for (const child of running) child.kill("SIGKILL");
  await Promise.all([...running].map(({ exited }) => exited));
}

export async function startEngine(dataDir: string, synchronous = "FULL"): Promise<Engine> {
  const startedMs = performance.now();
  const child = Bun.spawn([process.execPath, main], {
    env: {
      PATH: process.env.PATH ?? "",
      CONVEX_DATA_DIR: dataDir,
      CONVEX_PORT: "0",
      CONVEX_SITE_PORT: "0",
      CONVEX_ADMIN_KEY: adminKey,
      CONVEX_SYNCHRONOUS: synchronous,
      // The cap of the official backend would be all there is to see.
      CONVEX_WRITE_BYTES_PER_SECOND_MAX: "0",
      INSTANCE_SECRET: "cd".repeat(32),
    },
    stdout: "pipe",
    stderr: "inherit",
  });
  running.add(child);
  void child.exited.then(() => running.delete(child));
  const reader = child.stdout.getReader();
  let printed = "";
  while (!printed.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`convex-local ended with ${await child.exited}`);
    printed += Buffer.from(value).toString();
  }
  const { url, siteUrl } = JSON.parse(printed) as { url: string; siteUrl: string };
  const post = async (path: string, body: unknown, headers = {}) => {
    const response = await fetch(url + path, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
    return (await response.json()) as { status: string; value: unknown } | null;
  };
  return {
    url,
    siteUrl,
    pid: child.pid,
    startMs: performance.now() - startedMs,
    deploy: (directory = app) => deployFixture({ url, adminKey }, directory),
    setEnvironment: async (name, value) => {
      const authorization = { authorization: `Convex ${adminKey}` };
      await post("/api/update_environment_variables", { changes: [{ name, value }] }, authorization);
    },
    call: async (kind, path, args) => {
      const answer = await post(`/api/${kind}`, { path, args, format: "convex_encoded_json" });
      if (answer?.status !== "success") throw new Error(`${path}: ${JSON.stringify(answer)}`);
      return answer.value;
    },
    stop: async (signal = "SIGTERM") => {
      child.kill(signal);
      await child.exited;
    },
  };
}
