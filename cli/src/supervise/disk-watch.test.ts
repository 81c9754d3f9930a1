import { expect, test } from "bun:test";
import { watchDisk } from "./disk-watch.ts";

const failedWrite =
  "[7] 2026/11/21 03:00:00.000000 [ERR] JetStream failed to store a msg on stream '$G > BODY': write /data/nats/1.blk: no space left on device";

/** Looks once at each of `freeMb` in turn; `onLook` happens before the look of its index. */
async function looked(freeMb: readonly number[], onLook: Record<number, string> = {}) {
  const told: string[] = [];
  const ending = new AbortController();
  let looks = 0;
  const watch = watchDisk(
    {
      freeMb: () => {
        const line = onLook[looks];
        if (line !== undefined) watch.see({ kind: "line", part: "nats", text: line });
        return freeMb[looks] ?? 0;
      },
      restartNats: () => void told.push("restart"),
      say: (text) => void told.push(text),
      wait: async () => {
        looks += 1;
        if (looks === freeMb.length) ending.abort();
      },
    },
    "/data",
    256,
  );
  await watch.run(ending.signal);
  return told;
}

test("a disk with little room is told once, and once that there is room again", async () => {
  expect(await looked([300, 200, 100, 300, 400])).toEqual([
    "the disk of /data has 200 MB left: no new mail is taken; free some of it, and mail goes on by itself",
    "the disk of /data has 300 MB free again: mail is taken",
  ]);
});

test("a nats-server that could not write is started again once there is room, and only then", async () => {
  const told = await looked([0, 0, 20, 500, 500], { 1: failedWrite });
  expect(told.slice(1)).toEqual([
    "the disk of /data has 500 MB free again: mail is taken",
    "nats-server stopped storing when the disk was full; it is started again",
    "restart",
  ]);
});

test("what other parts say, and other troubles of nats-server, start nothing again", async () => {
  expect(await looked([300, 300], { 0: "[7] [ERR] a client is too slow" })).toEqual([]);
  const told: string[] = [];
  const ending = new AbortController();
  const watch = watchDisk(
    {
      freeMb: () => 300,
      restartNats: () => void told.push("restart"),
      say: (text) => void told.push(text),
      wait: async () => ending.abort(),
    },
    "/data",
    256,
  );
  watch.see({ kind: "line", part: "convex", text: failedWrite });
  watch.see({ kind: "ended", part: "nats", code: 1, signal: null, restartAfterMs: 500 });
  await watch.run(ending.signal);
  expect(told).toEqual([]);
});
