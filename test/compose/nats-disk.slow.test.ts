/** ops/docker/nats.sh, which compose starts nats-server with, on a disk that runs full. Without containers: their disks are the machine's. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, StorageType } from "nats";
import { missing, needs } from "../parts/missing.ts";
import { makeSmallDisk } from "../parts/small-disk.ts";
import { until } from "../parts/until.ts";

const mebibyte = 1_048_576;
const script = join(import.meta.dir, "../../ops/docker/nats.sh");
const made = makeSmallDisk(200);
const disk = "missing" in made ? undefined : made;
const skip = missing(
  "a full disk of a container",
  needs.nats(),
  "missing" in made ? made.missing : undefined,
);

describe.skipIf(skip)("nats-server of a container", () => {
  const folder = mkdtempSync(join(tmpdir(), "tyto-nats-sh-"));
  const config = join(folder, "nats.conf");
  writeFileSync(config, "max_payload: 1MB\njetstream { sync_interval: always }\n");
  afterAll(() => {
    disk?.remove();
    rmSync(folder, { recursive: true });
  });

  /** As compose starts it; `output` is what `docker compose logs` would show. */
  async function start() {
    const store = join(disk?.dir ?? "", "store");
    const nats = Bun.spawn(["sh", script, "-c", config, "-a", "127.0.0.1", "-p", "-1", "-sd", store], {
      env: { ...process.env, NATS_DATA: disk?.dir ?? "", NATS_LOOK_EVERY_S: "0.1" },
      stderr: "pipe",
    });
    let output = "";
    const reading = (async () => {
      const decoder = new TextDecoder();
      for await (const chunk of nats.stderr) output += decoder.decode(chunk, { stream: true });
    })();
    const servers = await until(
      "nats-server is ready",
      () => /Listening for client connections on (\S+)/.exec(output)?.[1],
    );
    return {
      nats,
      output: () => output,
      async ended() {
        const code = await nats.exited;
        await reading;
        return code;
      },
      connect: () => connect({ servers }),
    };
  }

  test("is ended when it stores nothing any more and there is room again, and stores when it is started again", async () => {
    const full = await start();
    const client = await full.connect();
    const streams = await client.jetstreamManager();
    await streams.streams.add({ name: "S", subjects: ["s"], storage: StorageType.File });
    const { seq: stored } = await client.jetstream().publish("s", "kept");
    disk?.leave(2 * mebibyte);
    // What is not confirmed was not stored: the last ones fail by their time.
    while (!full.output().includes("no space left on device"))
      await client
        .jetstream()
        .publish("s", new Uint8Array(mebibyte / 2), { timeout: 500 })
        .catch(() => undefined);
    expect(full.nats.exitCode).toBeNull();
    disk?.free();
    expect(await full.ended()).toBe(0);
    expect(full.output()).toContain("MB are free again: it is started again");
    await client.close();

    const again = await start();
    const after = await again.connect();
    const { seq } = await after.jetstream().publish("s", "stored");
    expect(seq).toBeGreaterThan(stored);
    const kept = await (await after.jetstreamManager()).streams.getMessage("S", { seq: stored });
    expect(kept.string()).toBe("kept");
    await after.close();
    again.nats.kill("SIGTERM");
    await again.ended();
  }, 120_000);

  test("ends as it does by itself when the container is stopped", async () => {
    const { nats, output, ended } = await start();
    nats.kill("SIGTERM");
    await ended();
    expect(output()).toContain("Server Exiting");
    expect(output()).not.toContain("started again");
  }, 60_000);
});
