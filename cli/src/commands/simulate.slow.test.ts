import { expect, test } from "bun:test";
import { join } from "node:path";

/** Nobody asks for colours, or against them; under CI a pipe is a pipe, too. */
const { NO_COLOR: _no, FORCE_COLOR: _force, ...others } = process.env;
const unasked = { ...others, CI: "true" };

const tyto = async (args: readonly string[], env: Record<string, string> = {}) => {
  const child = Bun.spawn(["bun", join(import.meta.dir, "..", "main.ts"), "simulate", ...args], {
    stdout: "pipe",
    stderr: "pipe",
    env: { ...unasked, ...env },
  });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { out, err, code };
};
const small = ["--days", "8", "--volume", "3000"];

test("a simulation is drawn within 80 columns, without colours where nobody looks", async () => {
  const { out, code } = await tyto([...small, "--unknown", "12%"]);
  expect(code).toBe(0);
  expect(out).not.toContain("\x1b");
  for (const line of out.split("\n")) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(80);
  expect(out).toContain("3,000 messages in 8 days from one new address");
  expect(out).toMatch(/ 1 {3}day 1 of 30, 50 used, halted until \d+ Jan because \d+ % bounced/);
  expect(out).toContain("halted on day 1");
});

test("with colours it says the same", async () => {
  const [plain, coloured] = await Promise.all([tyto(small), tyto(small, { FORCE_COLOR: "1" })]);
  expect(coloured.out).toContain("\x1b[32m");
  expect(Bun.stripANSI(coloured.out)).toBe(plain.out);
});

test("--json is one document", async () => {
  const { out } = await tyto([...small, "--json", "--mix", "google=1,other=1"]);
  const document = JSON.parse(out) as { days: { providers: object }[]; totals: { accepted: number } };
  expect(document.days).toHaveLength(8);
  expect(Object.keys(document.days[0]?.providers ?? {})).toEqual(["google", "other"]);
  expect(document.totals.accepted).toBe(3_000);
});

test("a refusal ends the program with 1", async () => {
  const { err, code } = await tyto(["--days", "0"]);
  expect(code).toBe(1);
  expect(err).toContain("--days takes a whole number");
});
