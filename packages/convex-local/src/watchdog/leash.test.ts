import { expect, test } from "bun:test";
import { AsyncLocalStorage } from "node:async_hooks";
import { LeashEnd, onLeash } from "./leash.ts";

const endless: Record<string, () => Promise<unknown>> = {
  "at once": async () => {
    for (;;);
  },
  "after an await": async () => {
    await null;
    for (;;);
  },
  "made of awaits": async () => {
    for (;;) await null;
  },
  "that catches everything": async () => {
    for (;;) {
      try {
        await null;
        for (;;);
      } catch {
        // The point: a function may catch whatever it is sent.
      } finally {
        await null;
      }
    }
  },
  "of promises that make promises": () => {
    const again = (): Promise<never> => Promise.resolve().then(again);
    return again();
  },
  "that allocates": async () => {
    const kept: number[][] = [];
    for (;;) kept.push(new Array<number>(10).fill(kept.length));
  },
};

test.each(Object.entries(endless))("a loop %s is ended", (_name, work) => {
  expect(() => onLeash(30, work)).toThrow(LeashEnd);
});

test("work that ends in time gives its result, or its error", async () => {
  expect(await onLeash(30_000, async () => (await Promise.resolve(20)) + 1)).toBe(21);
  expect(onLeash(30_000, () => Promise.reject(new Error("mine")))).rejects.toThrow("mine");
  expect(() =>
    onLeash(30_000, () => {
      throw new TypeError("at once");
    }),
  ).toThrow(TypeError);
});

test("work that waits for more than microtasks goes on", async () => {
  const digest = onLeash(30_000, async () => {
    const bytes = await crypto.subtle.digest("SHA-256", new Uint8Array(1000));
    return bytes.byteLength;
  });
  expect(await digest).toBe(32);
});

test("microtasks of others survive the end of a loop", async () => {
  let settled = 0;
  const others = Array.from({ length: 100 }, async () => {
    for (let step = 0; step < 5; step++) await null;
    settled++;
  });
  await null;
  expect(() =>
    onLeash(20, async () => {
      for (;;) await null;
    }),
  ).toThrow(LeashEnd);
  await Promise.all(others);
  expect(settled).toBe(100);
});

test("the next work starts afresh, a hundred times over", async () => {
  const storage = new AsyncLocalStorage<number>();
  for (let round = 0; round < 100; round++) {
    const isEndless = round % 2 === 0;
    // What ends by itself has all the time that a busy machine may need for it.
    const work = onLeash.bind(null, isEndless ? 2 : 10_000, () =>
      storage.run(round, async () => {
        await null;
        if (isEndless) for (;;);
        return storage.getStore();
      }),
    );
    if (isEndless) expect(work).toThrow(LeashEnd);
    else expect(await work()).toBe(round);
  }
});
