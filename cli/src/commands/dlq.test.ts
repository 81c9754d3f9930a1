import { expect, test } from "bun:test";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { command, describe } from "./dlq.ts";

const letter = {
  sequence: 7,
  diedAt: "2026-01-01T12:00:00Z",
  stream: "EVENTS",
  durable: "recorder",
  subject: "mail.accepted",
  originalSequence: 12,
  storedAt: "2026-01-01T11:59:59Z",
  reason: "id: must be a string",
  times: 1,
};

test("a dead letter is shown with every fact, its payload laid out when it is JSON and as it is when not", () => {
  const shown = Bun.stripANSI(describe({ ...letter, text: '{"id":1}' }));
  expect(shown).toContain("reason            id: must be a string");
  expect(shown).toContain('{\n  "id": 1\n}');
  expect(describe({ ...letter, text: "{broken" })).toContain("{broken");
});

test.each([
  [["burn"], 'no "tyto dlq burn"'],
  [["show"], "the NUMBER of a dead letter is missing"],
])("a wrong command line says what is wrong: %p", async (argv, message) => {
  await expect(command.run(argv)).rejects.toThrow(message);
});

test("without a running installation it says how to start one", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "tyto-none-"));
  await expect(command.run(["list", "--data", dataDir])).rejects.toThrow("not running");
});
