import { expect, test } from "bun:test";
import { Failure, MessageId } from "@tyto/contracts";
import { createBodies } from "./bodies.ts";

const idOf = (n: number) => MessageId.parse(`01jd400000000000000000000${n}`);
const packed = (n: number, bodies = 3) => ({
  messageId: idOf(n),
  bodyBytes: 4,
  bodyChunks: 1,
  bodyPack: { id: "p01jd4000000000000000000000", offset: n * 4, bodies },
});
const alone = { messageId: idOf(7), bodyBytes: 3, bodyChunks: 2 };

function setUp() {
  const steps: string[] = [];
  let fails = false;
  const bodies = createBodies({
    async get(id, parts) {
      steps.push(`get ${id.slice(0, 3)} ${parts}`);
      if (fails) throw new Failure("upstream.down", "away");
      return Buffer.from("zeroone.two.");
    },
    drop: async (id, parts) => void steps.push(`drop ${id.slice(0, 3)} ${parts}`),
  });
  const fail = (value: boolean) => {
    fails = value;
  };
  return { bodies, steps, fail };
}

test("bodies of a pack are cut out of one read", async () => {
  const { bodies, steps } = setUp();
  const found = await Promise.all([0, 1, 2].map((n) => bodies.load(packed(n))));
  expect(found.map((bytes) => Buffer.from(bytes).toString())).toEqual(["zero", "one.", "two."]);
  expect(steps).toEqual(["get p01 1"]);
});

test("a pack is dropped with the last of its bodies, each counted once; a body alone at once", async () => {
  const { bodies, steps } = setUp();
  for (const n of [0, 0, 1]) await bodies.drop(packed(n));
  expect(steps).toEqual([]);
  await bodies.drop(packed(2));
  await bodies.drop(alone);
  expect(steps).toEqual(["drop p01 1", "drop 01j 2"]);
});

test("a read that failed is tried again by the next", async () => {
  const { bodies, fail } = setUp();
  fail(true);
  await expect(bodies.load(packed(0))).rejects.toThrow("away");
  fail(false);
  expect(Buffer.from(await bodies.load(packed(1))).toString()).toBe("one.");
});
