import { afterEach, expect, test } from "bun:test";
import { createClamd } from "./clamd.ts";
import { answer, type FakeClamd, type Script, startFakeClamd, until } from "./testing.ts";

let fake: FakeClamd | undefined;
afterEach(() => fake?.stop());

async function scripted(script: Script) {
  fake = await startFakeClamd(script);
  return { clamd: createClamd("127.0.0.1", fake.port), fake };
}

const small = Buffer.from("hello");
const large = Buffer.alloc(25_000_000, 65);
const enoughMs = 30_000;
const shortMs = 150;

test.each([
  ["stream: OK\0", small, { kind: "clean" }],
  ["stream: OK\0", large, { kind: "clean" }],
  ["stream: OK\0", Buffer.alloc(0), { kind: "clean" }],
  ["stream: Eicar FOUND\0", small, { kind: "infected", signature: "Eicar" }],
])("%j after the whole stream", async (reply, bytes, expected) => {
  const { clamd, fake } = await scripted(answer(reply));
  expect(await clamd.scan(bytes, enoughMs)).toEqual(expected as never);
  await until(() => fake.open() === 0);
});

const faults: [name: string, script: Script][] = [
  ["hangs from the start", () => {}],
  ["never reads", (socket) => socket.pause()],
  ["reads all and never answers", (_socket, whenAll) => void whenAll],
  [
    "answers and does not hang up",
    (socket, whenAll) => void whenAll.then(() => socket.write("stream: OK\0")),
  ],
  ["answers half and stays", (socket, whenAll) => void whenAll.then(() => socket.write("stream: O"))],
  ["hangs up without an answer", (socket, whenAll) => void whenAll.then(() => socket.end())],
  ["hangs up at once", (socket) => socket.end()],
  ["resets the connection", (socket) => void socket.once("data", () => socket.resetAndDestroy())],
  [
    "says nonsense",
    (socket, whenAll) => void whenAll.then(() => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")),
  ],
];
test.each(faults)(
  "a clamd that %s is a failure by the deadline, and leaves no connection",
  async (_, script) => {
    const { clamd, fake } = await scripted(script);
    for (const bytes of [large, small]) {
      const startedAtMs = performance.now();
      expect((await clamd.scan(bytes, shortMs)).kind).toBe("failed");
      expect(performance.now() - startedAtMs).toBeLessThan(shortMs + 20_000);
    }
    await until(() => fake.open() === 0);
  },
);

test("clean before everything was sent is not clean", async () => {
  const { clamd, fake } = await scripted((socket) => void socket.end("stream: OK\0"));
  expect((await clamd.scan(large, enoughMs)).kind).toBe("failed");
  await until(() => fake.open() === 0);
});

test("no clamd at all is a failure that says so", async () => {
  const { clamd, fake } = await scripted(() => {});
  await fake.stop();
  expect(await clamd.scan(small, enoughMs)).toMatchObject({
    kind: "failed",
    why: expect.stringContaining("ECONNREFUSED"),
  });
});

test("asking a hung clamd for its version again and again opens one connection", async () => {
  const { clamd, fake } = await scripted(() => {});
  for (let i = 0; i < 5; i++) expect(await clamd.version(20)).toBeUndefined();
  await until(() => fake.open() > 0);
  expect(fake.open()).toBe(1);
  await fake.stop();
});

test("the version is one line", async () => {
  const { clamd } = await scripted(answer("ClamAV 1.4.6/27123/Sat\n\0"));
  expect(await clamd.version(enoughMs)).toBe("ClamAV 1.4.6/27123/Sat");
});
