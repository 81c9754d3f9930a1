import { afterEach, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Happening,
  type Keeper,
  keep,
  type Part,
  type Ports,
  stopInReverse,
  systemPorts,
} from "./supervisor.ts";

const kept: Keeper[] = [];
afterEach(async () => {
  await Promise.all(kept.splice(0).map((keeper) => keeper.stop()));
});

/** Real processes; waits are cut short. */
function watch(waitMsMax = 5) {
  const happened: Happening[] = [];
  const listeners = new Set<() => void>();
  const system = systemPorts(
    (argv) => [...argv],
    (happening) => {
      happened.push(happening);
      for (const listener of listeners) listener();
    },
  );
  const ports: Ports = {
    ...system,
    wait: (ms, signal) => system.wait(Math.min(ms, waitMsMax), signal),
  };
  /** Resolves when `found` is true of what happened. */
  const until = (found: () => boolean) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (!found()) return;
        listeners.delete(look);
        resolve();
      };
      listeners.add(look);
      look();
    });
  const start = (part: Partial<Part> & { script: string }) => {
    const keeper = keep(partOf(part), ports);
    kept.push(keeper);
    return keeper;
  };
  return { happened, until, start };
}

function partOf({ script, ...rest }: Partial<Part> & { script: string }): Part {
  return {
    name: "part",
    argv: ["sh", "-c", script],
    env: { PATH: process.env.PATH },
    cwd: tmpdir(),
    problem: async () => undefined,
    readyMsMax: 30_000,
    stopMsMax: 30_000,
    ...rest,
  };
}

test("a part is ready when its question is answered, and its lines are reported", async () => {
  const { happened, until, start } = watch();
  const folder = await mkdtemp(join(tmpdir(), "tyto-part-"));
  const keeper = start({
    script: `echo hello; echo oops >&2; touch ${folder}/up; exec sleep 60`,
    problem: async () => (existsSync(join(folder, "up")) ? undefined : "no file yet"),
  });
  await keeper.ready;
  await until(() => happened.filter(({ kind }) => kind === "line").length === 2);
  const texts = happened.flatMap((happening) => (happening.kind === "line" ? [happening.text] : []));
  expect(texts.sort()).toEqual(["hello", "oops"]);
});

test("a part that ends is started again, with waits that grow", async () => {
  const { happened, until, start } = watch();
  start({ script: "exit 3" });
  await until(() => happened.filter(({ kind }) => kind === "ended").length >= 3);
  const ends = happened.filter((happening) => happening.kind === "ended");
  expect(ends.slice(0, 3).map(({ code, restartAfterMs }) => [code, restartAfterMs])).toEqual([
    [3, 500],
    [3, 1_000],
    [3, 2_000],
  ]);
});

test("a killed part is started again under a new process id", async () => {
  const { happened, until, start } = watch();
  const keeper = start({ script: "echo alive; exec sleep 60" });
  await keeper.ready;
  const first = keeper.pid();
  if (first === undefined) throw new Error("it has no process");
  await until(() => happened.some(({ kind }) => kind === "line"));
  process.kill(first, "SIGKILL");
  await until(() => happened.filter(({ kind }) => kind === "line").length === 2);
  expect(keeper.pid()).not.toBe(first);
  expect(happened).toContainEqual({
    kind: "ended",
    part: "part",
    code: null,
    signal: "SIGKILL",
    restartAfterMs: 500,
  });
});

test("a wrong setting ends the attempt and whoever waits for it", async () => {
  const { happened, start } = watch();
  const keeper = start({ script: "exit 78", problem: async () => "not listening" });
  await expect(keeper.ready).rejects.toThrow("a setting is wrong");
  await keeper.ready.catch(() => undefined);
  expect(happened.filter(({ kind }) => kind === "ended")).toEqual([]);
});

test("a program that is not there is told and not tried again", async () => {
  const { start } = watch();
  const keeper = start({ script: "", argv: ["/nowhere/at/all"] });
  await expect(keeper.ready).rejects.toThrow("did not become ready");
  await keeper.ready.catch(() => undefined);
});

test("a part that does not become ready in time says why", async () => {
  const { start } = watch();
  const keeper = start({
    script: "exec sleep 60",
    problem: async () => "nats: disconnected",
    readyMsMax: 50,
  });
  await expect(keeper.ready).rejects.toThrow("nats: disconnected");
  await keeper.ready.catch(() => undefined);
});

test("parts stop in the reverse of their order, each after it finished its work", async () => {
  const { happened, until, start } = watch(30_000);
  const journal = join(await mkdtemp(join(tmpdir(), "tyto-order-")), "journal");
  const script = (name: string) =>
    `trap 'echo ${name} >> ${journal}; exit 0' TERM; echo ready; while :; do sleep 0.02; done`;
  const tiers = ["nats", "convex", "gateway"].map((name) => [start({ name, script: script(name) })]);
  await until(() => happened.filter(({ kind }) => kind === "line").length === 3);
  await stopInReverse(tiers);
  expect((await readFile(journal, "utf8")).trim().split("\n")).toEqual(["gateway", "convex", "nats"]);
  expect(tiers.flat().map((keeper) => keeper.pid())).toEqual([undefined, undefined, undefined]);
});

test("a part that ignores the request to stop is killed", async () => {
  const { happened, until, start } = watch();
  const keeper = start({ script: "trap '' TERM; echo ready; while :; do sleep 0.02; done", stopMsMax: 40 });
  await until(() => happened.some(({ kind }) => kind === "line"));
  await keeper.stop();
  expect(happened.some(({ kind }) => kind === "killed")).toBe(true);
  expect(keeper.pid()).toBeUndefined();
});

test("a part that is waiting to be started again stops at once", async () => {
  const happened: Happening[] = [];
  const ended = Promise.withResolvers<void>();
  const ports = systemPorts(
    (argv) => [...argv],
    (happening) => {
      happened.push(happening);
      if (happening.kind === "ended") ended.resolve();
    },
  );
  const keeper = keep(partOf({ script: "exit 1" }), ports);
  await ended.promise;
  await keeper.stop();
  expect(happened.filter(({ kind }) => kind === "ended").length).toBe(1);
});
