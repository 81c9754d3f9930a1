import { expect, test } from "bun:test";
import { getPriority } from "node:os";
import { until } from "../../../test/parts/until.ts";
import { giveWayAsSession, givingWay } from "./priority.ts";

/** Nothing gives way more. */
const niceMax = 19;

test("a part that gives way runs with a higher nice value", async () => {
  const wanted = Math.min(niceMax, getPriority() + 1);
  const child = Bun.spawn(givingWay(["sleep", "60"]));
  try {
    await until("it is nice", () => getPriority(child.pid) >= wanted, { everyMs: 1 });
  } finally {
    child.kill();
    await child.exited;
  }
});

test("a change that comes too soon after another one is made again", async () => {
  const answers = ["EAGAIN", "EAGAIN", undefined];
  const written: string[] = [];
  const isSet = await giveWayAsSession(
    7,
    async () => {},
    async (path, text) => {
      written.push(`${path} ${text}`);
      const code = answers[written.length - 1];
      if (code !== undefined) throw Object.assign(new Error(code), { code });
    },
  );
  expect(isSet).toBe(true);
  expect(written).toEqual(Array(3).fill("/proc/7/autogroup 5"));
});

test("a kernel without groups of sessions is left alone", async () => {
  let tries = 0;
  const isSet = await giveWayAsSession(
    7,
    async () => {},
    async () => {
      tries++;
      throw Object.assign(new Error("no such file"), { code: "ENOENT" });
    },
  );
  expect([isSet, tries]).toEqual([false, 1]);
});

test("one that is refused for ever ends", async () => {
  const busy = Object.assign(new Error("busy"), { code: "EAGAIN" });
  expect(
    await giveWayAsSession(
      7,
      async () => {},
      async () => {
        throw busy;
      },
    ),
  ).toBe(false);
});
