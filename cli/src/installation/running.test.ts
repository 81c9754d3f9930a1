import { expect, test } from "bun:test";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { claimData, findRunning, type Note } from "./running.ts";

const folder = () => mkdtemp(join(tmpdir(), "tyto-running-"));
const note = (pid: number): Note => ({
  pid,
  startedAtMs: 0,
  gatewayUrl: "http://127.0.0.1:3100",
  siteUrl: "http://localhost:3000",
  natsUrl: "nats://127.0.0.1:4222",
});

/** A living process whose command line is that of `tyto up`. */
const pretender = () => Bun.spawn(["sh", "-c", "read _", "main.ts", "up"], { stdin: "pipe" });

test("a second start on the same data says that the first is running", async () => {
  const dataDir = await folder();
  const first = pretender();
  await claimData(dataDir, note(first.pid));
  await expect(claimData(dataDir, note(process.pid))).rejects.toThrow(`pid ${first.pid}`);
  expect((await findRunning(dataDir))?.pid).toBe(first.pid);
  first.kill();
  await first.exited;
});

test("the note of one that was killed is replaced", async () => {
  const dataDir = await folder();
  const gone = Bun.spawn(["true"]);
  await gone.exited;
  await claimData(dataDir, note(gone.pid));
  expect(await findRunning(dataDir)).toBeUndefined();
  const claim = await claimData(dataDir, note(process.pid));
  await claim.release();
  expect(await Bun.file(join(dataDir, "running.json")).exists()).toBe(false);
});

test("a process id that another program took over does not count", async () => {
  const dataDir = await folder();
  await claimData(dataDir, note(process.ppid));
  expect(await findRunning(dataDir)).toBeUndefined();
});

test("a note cut short by a crash is no note", async () => {
  const dataDir = await folder();
  await writeFile(join(dataDir, "running.json"), '{"pid": 1');
  expect(await findRunning(dataDir)).toBeUndefined();
});
