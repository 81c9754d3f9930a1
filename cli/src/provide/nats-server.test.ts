import { expect, test } from "bun:test";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Machine } from "./machine.ts";
import { provideNatsServer } from "./nats-server.ts";

/** A machine with the given programs, each answering --version; without apt. */
async function machineWith(programs: Record<string, string>): Promise<Machine> {
  return {
    cacheDir: await mkdtemp(join(tmpdir(), "tyto-cache-")),
    isRoot: false,
    platform: "linux",
    which: (...names) => names.map((name) => `/bin/${name}`).find((path) => path in programs),
    run: async ([path = ""]) => {
      const stdout = programs[path];
      if (stdout === undefined) throw new Error(`ENOENT ${path}`);
      return { code: 0, stdout, stderr: "" };
    },
    say() {},
  };
}

test("a new enough nats-server on PATH is taken as it is", async () => {
  const machine = await machineWith({ "/bin/nats-server": "nats-server: v2.15.1" });
  expect(await provideNatsServer(machine)).toEqual({
    kind: "there",
    path: "/bin/nats-server",
    version: "2.15.1",
  });
});

test("one in the cache is preferred to an older one on PATH", async () => {
  const programs: Record<string, string> = { "/bin/nats-server": "nats-server: v2.10.27" };
  const machine = await machineWith(programs);
  const cached = join(machine.cacheDir, "bin/nats-server");
  programs[cached] = "nats-server: v2.14.2";
  expect(await provideNatsServer(machine)).toEqual({ kind: "there", path: cached, version: "2.14.2" });
});

test("an older server, which never fires schedules, counts as missing and the answer says what to do", async () => {
  const machine = await machineWith({ "/bin/nats-server": "nats-server: v2.10.27" });
  const provided = await provideNatsServer(machine);
  expect(provided).toMatchObject({ kind: "missing", mend: expect.stringContaining("2.14") });
});
