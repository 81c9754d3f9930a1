import { expect, test } from "bun:test";
import { ask, benchmark } from "./benchmark.ts";
import { benchmarks } from "./benchmarks.ts";

const jobs: unknown[] = [];
const walk = benchmark({
  name: "walk",
  about: "steps per second",
  options: {
    steps: { usual: 5_000, about: "how many" },
    perS: { usual: 0, least: 0, most: 100, about: "the pace, 0 as it comes" },
    shoes: { usual: "boots,clogs", about: "of what kind" },
  },
  run: async (job) => {
    jobs.push(job);
    return { walked: job.steps };
  },
});

const asked = (...words: string[]) => ask([walk], words);
const wrong = (...words: string[]) => {
  const answer = asked("walk", ...words);
  return answer.kind === "wrong" ? answer.text : answer.kind;
};

test("what is given reaches the run, and what is not is as usual", async () => {
  const answer = asked("walk", "--per-s", "7", "--shoes=socks");
  expect(answer.kind === "run" ? await answer.run() : answer).toEqual({ walked: 5_000 });
  expect(jobs).toEqual([{ steps: 5_000, perS: 7, shoes: "socks" }]);
});

test("help names every option with its default, wherever it stands on the line", () => {
  const answer = asked("walk", "--steps", "3", "--help");
  const text = answer.kind === "help" ? answer.text : "";
  expect(text).toContain("--steps 5000");
  expect(text).toMatch(/--per-s 0 +the pace, 0 as it comes/);
});

test("an option that is unknown, has no value or a wrong one is named, with the usage", () => {
  expect(wrong("--stepps", "3")).toMatch(/^Unknown option '--stepps'\nusage: bun run bench walk/);
  expect(wrong("--steps")).toContain("--steps");
  expect(wrong("--steps", "many")).toStartWith(
    '--steps takes a whole number of at least 1, not "many"\nusage:',
  );
  expect(wrong("--steps", "0")).toContain("of at least 1");
  expect(wrong("--per-s", "101")).toContain("from 0 to 100");
  expect(wrong("3000")).toContain("3000");
});

test("without a name, or with an unknown one, the benchmarks are listed", () => {
  expect(asked()).toMatchObject({
    kind: "wrong",
    text: expect.stringContaining("walk       steps per second"),
  });
  expect(asked("--help")).toMatchObject({ kind: "help", text: expect.stringContaining("NAME --help") });
  expect(asked("run")).toMatchObject({ kind: "wrong", text: expect.stringContaining('"run"') });
});

test.each(benchmarks.map(({ name }) => name))("%s tells its options and does not run", (name) => {
  const options = benchmarks.find((each) => each.name === name)?.options ?? {};
  const answer = ask(benchmarks, [name, "--help"]);
  const text = answer.kind === "help" ? answer.text : "";
  for (const { about } of Object.values(options)) expect(text).toContain(about);
  expect(ask(benchmarks, [name, "--no-such-option", "1"]).kind).toBe("wrong");
});
